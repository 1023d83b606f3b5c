"""Names and paths that comments, docstrings and documents cite: each must exist."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import PurePosixPath

from tools.checks.names import PACKAGES, Names
from tools.checks.tree import Problem, Prose, Tree

_ROOMS = "|".join((*PACKAGES, "deploy", "docs", "models", "requirements", "web"))
_PATH = re.compile(rf"(?<![\w/.~@-])(?:(?:{_ROOMS})/[\w./*-]*[\w/*]|(?:[\w-]+/)*[\w-]+\.(?:py|js|mjs)\b)")
_DOTTED = re.compile(rf"(?<![\w/.@:-])(?:{'|'.join(PACKAGES)})(?:\.\w+)+(?![\w/])")
_TICKED = re.compile(r"`([^`]+)`")
_MEMBER = re.compile(r"(\w+)\.(\w+)(?:\(.*\))?")
_MAKE = re.compile(r"make ([a-z][\w*-]*)")
_IDENTIFIER = re.compile(r"_?[a-z0-9]+(?:_[a-z0-9]+)+|_?[A-Z0-9]+(?:_[A-Z0-9]+)+|(?:[A-Z]+[a-z0-9]+){2,}")
"""A name that prose cannot contain by chance: words joined by underscores or by capitals."""


class Citations:
    """Finds cited names and paths that do not exist."""

    def __init__(self, tree: Tree, allowed: Mapping[str, str]) -> None:
        """`allowed` maps a citation to the reason why it may stand without being defined here."""
        self._tree = tree
        self._names = Names(tree)
        self._allowed = allowed
        self._used: set[str] = set()

    def problems(self) -> Iterator[Problem]:
        for prose in self._tree.prose():
            for cited, message in self._broken(prose):
                if cited in self._allowed:
                    self._used.add(cited)
                else:
                    yield Problem(prose.path, prose.line, message)
        for unused in sorted(self._allowed.keys() - self._used):
            yield Problem("tools/checks/allowed.py", 1, f"nothing needs the exception {unused!r}: delete it")

    def _broken(self, prose: Prose) -> Iterator[tuple[str, str]]:
        for path in _PATH.findall(prose.text):
            if not self._path_exists(path, prose.path):
                yield path, f"cites {path}, which no file or folder is called, or more than one"
        for dotted in _DOTTED.findall(prose.text):
            if not dotted.endswith(".py") and not self._dotted_exists(dotted):
                yield dotted, f"cites {dotted}, which is not defined"
        for target in self._cited_targets(prose):
            if not self._target_exists(target):
                yield f"make {target}", f"cites `make {target}`, and the Makefile has no such target"
        if not prose.is_code_block:
            for span in _TICKED.findall(prose.text):
                yield from self._broken_span(span)

    def _broken_span(self, span: str) -> Iterator[tuple[str, str]]:
        if member := _MEMBER.fullmatch(span):
            if not self._member_exists(*member.groups()):
                yield span, f"cites `{span}`, and {member[1]} has no {member[2]}"
        elif _IDENTIFIER.fullmatch(span) and not self._names.contain(span):
            yield span, f"cites `{span}`, and no code contains this name"

    def _dotted_exists(self, dotted: str) -> bool:
        """`longtake.analyze` may be the package's or that of the client which examples call `longtake`."""
        client, _, rest = dotted.partition(".")
        is_client = client == "longtake" and rest.split(".")[0] in self._names.members.get("Longtake", ())
        return is_client or self._names.defines(dotted)

    def _member_exists(self, owner: str, name: str) -> bool:
        """Names of other projects pass."""
        if owner in self._names.members:
            return name in self._names.members[owner]
        if owner in self._modules_by_last_name and owner not in PACKAGES:
            return name in self._names.words or name == "py"
        return True

    @cached_property
    def _modules_by_last_name(self) -> frozenset[str]:
        return frozenset(module.rpartition(".")[2] for module in self._names.modules)

    @cached_property
    def _endings(self) -> Counter[str]:
        """How many files end in each path: `store/leases.py` cites one file where no other room has such a pair."""
        return Counter(
            path[start:] for path in self._tree.files for start in [0, *(m.end() for m in re.finditer("/", path))]
        )

    def _path_exists(self, path: str, citing: str) -> bool:
        if path == "__init__.py":
            return True  # every package's
        if "*" in path:
            return any(re.match(re.escape(path).replace(r"\*", "[^/]*"), file) for file in self._tree.files)
        beside = str(PurePosixPath(citing).parent / path)
        return (
            path.rstrip("/") in self._tree.folders
            or path in self._tree.files
            or beside in self._tree.files
            or self._endings[path] == 1
        )

    def _cited_targets(self, prose: Prose) -> Iterator[str]:
        spans = _TICKED.findall(prose.text) + re.findall(r"\((make [\w*-]+)\)", prose.text)
        if prose.is_code_block:
            spans.append(prose.text.strip())
        for span in spans:
            if target := _MAKE.match(span):
                yield target[1]

    def _target_exists(self, target: str) -> bool:
        pattern = re.escape(target).replace(r"\*", "[a-z-]+")
        return any(re.fullmatch(pattern, known) for known in self._names.make_targets)
