"""The names that the checkout defines, found without importing anything."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from tools.checks.tree import Tree, statements

PACKAGES = ("benchmarks", "deployments", "longtake", "pipeline", "tests", "tools")
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class Names:
    """Modules with their top-level names, classes with their members, and every word that code contains."""

    tree: Tree

    @cached_property
    def modules(self) -> dict[str, frozenset[str]]:
        """Top-level names by dotted module name, submodules included."""
        found: dict[str, set[str]] = {}
        for path, file in self.tree.python_files.items():
            name = module_name(path)
            found.setdefault(name, set()).update(_defined(file.module.body))
            while "." in name:
                name, _, child = name.rpartition(".")
                found.setdefault(name, set()).add(child)
        return {name: frozenset(names) for name, names in found.items()}

    @cached_property
    def members(self) -> dict[str, frozenset[str]]:
        """Members by class name, inherited ones included where the base class is ours too."""
        own: dict[str, set[str]] = {}
        bases: dict[str, set[str]] = {}
        for file in self.tree.python_files.values():
            for statement in statements(file.module.body):
                if isinstance(statement, ast.ClassDef):
                    own.setdefault(statement.name, set()).update(_members(statement))
                    bases.setdefault(statement.name, set()).update(_last_names(statement.bases))

        def inherited(name: str, seen: frozenset[str]) -> set[str]:
            parents = bases.get(name, set()) - seen
            return own.get(name, set()).union(*(inherited(parent, seen | parents) for parent in parents))

        return {name: frozenset(inherited(name, frozenset({name}))) for name in own}

    @cached_property
    def words(self) -> frozenset[str]:
        """Every word of code and settings, without comments, docstrings and these checks."""
        found: set[str] = set()
        for path, file in self.tree.python_files.items():
            if not path.startswith(("tools/checks/", "tests/checks/")):
                for line in file.code_lines:
                    found.update(_WORD.findall(line.split("  # ")[0]))
        for path in self.tree.files:
            if path.endswith((".js", ".ts", ".html", ".yaml", ".toml", ".sh", ".json", "Makefile")):
                found.update(_WORD.findall(self.tree.read(path)))
        return frozenset(found)

    @cached_property
    def make_targets(self) -> frozenset[str]:
        return frozenset(re.findall(r"^([a-z][\w-]*):", self.tree.read("Makefile"), re.MULTILINE))

    def contain(self, name: str) -> bool:
        """Whether code contains the name, as it stands or as clients and operators see it.

        An error's code is its class in snake case, metrics start with `longtake_`, and Prometheus adds `_total`.
        """
        stem = name.removesuffix("_total")
        if name.startswith("_") and any(word.endswith(stem) for word in self.words):
            return True
        class_name = "".join(part.capitalize() for part in name.split("_"))
        return not self.words.isdisjoint({name, stem, f"longtake_{name}", f"longtake_{stem}", class_name})

    def defines(self, dotted: str) -> bool:
        """Whether `package.module.name.member` leads from a module of ours to something that exists."""
        parts = dotted.split(".")
        for length in range(len(parts), 0, -1):
            module = ".".join(parts[:length])
            if module in self.modules:
                return self._has(self.modules[module], parts[length:])
        return False

    def _has(self, names: frozenset[str], parts: list[str]) -> bool:
        if not parts:
            return True
        name, *members = parts
        return name in names and (not members or name not in self.members or members[0] in self.members[name])


def module_name(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _defined(body: list[ast.stmt]) -> Iterator[str]:
    for statement in statements(body, enters_scopes=False):
        yield from _bound(statement)


def _bound(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.Assign(targets=targets):
            for node in (node for target in targets for node in ast.walk(target)):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    yield node.id
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name
        case ast.Import(names=aliases) | ast.ImportFrom(names=aliases):
            yield from (alias.asname or alias.name for alias in aliases)


def _members(class_: ast.ClassDef) -> Iterator[str]:
    yield from _defined(class_.body)
    for node in ast.walk(class_):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
            yield node.attr


def _last_names(bases: list[ast.expr]) -> Iterator[str]:
    for base in bases:
        if isinstance(base, ast.Name):
            yield base.id
        elif isinstance(base, ast.Attribute):
            yield base.attr
