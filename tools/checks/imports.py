"""Tests share helpers through modules of their own: no test imports from a test file, or a private name."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from tools.checks.tree import Problem, PythonFile, Tree, statements


def import_problems(tree: Tree) -> Iterator[Problem]:
    for path, file in tree.python_files.items():
        if path.startswith("tests/"):
            yield from _problems_of(file)


def _problems_of(file: PythonFile) -> Iterator[Problem]:
    for statement in statements(file.module.body):
        for message in sorted({_refusal(module, name) for module, name in _imports(statement)} - {None}, key=str):
            yield Problem(file.path, statement.lineno, str(message))


def _refusal(module: str, name: str) -> str | None:
    package, *rest = [*module.split("."), name]
    if package != "tests":
        return None
    if any(part.startswith("test_") for part in rest):
        return f"imports from {module}: move the helper to a module of its own"
    return f"imports the private name {name} of {module}" if name.startswith("_") else None


def _imports(statement: ast.stmt) -> Iterator[tuple[str, str]]:
    """(module, name) of each import; the name is empty where a module is imported whole."""
    match statement:
        case ast.ImportFrom(module=str(module), names=aliases):
            yield from ((module, alias.name) for alias in aliases)
        case ast.Import(names=aliases):
            yield from ((alias.name, "") for alias in aliases)
