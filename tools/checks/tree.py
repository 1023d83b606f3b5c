"""The checkout's files, and their text split into code and prose."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

_COMMENT = re.compile(r"(?:^|\s)#:? (.+)")


@dataclass(frozen=True)
class Problem:
    """One broken rule, where it is broken, and what to do about it."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


@dataclass(frozen=True)
class Prose:
    """One line that people read: of a comment, a docstring or a Markdown file."""

    path: str
    line: int
    text: str
    is_code_block: bool = False
    """Whether the line stands in a fenced block of a Markdown file."""


@dataclass(frozen=True)
class Tree:
    """Files below `root`, as POSIX paths relative to it."""

    root: Path
    files: tuple[str, ...]

    @classmethod
    def of_checkout(cls, root: Path) -> Tree:
        """Every file that Git tracks or would add."""
        listing = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        return cls(root, tuple(sorted({path for path in listing if (root / path).is_file()})))

    @cached_property
    def folders(self) -> frozenset[str]:
        return frozenset(str(folder) for path in self.files for folder in PurePosixPath(path).parents) - {"."}

    @cached_property
    def python_files(self) -> dict[str, PythonFile]:
        return {path: PythonFile(path, self.read(path)) for path in self.files if path.endswith(".py")}

    def read(self, path: str) -> str:
        return (self.root / path).read_text(encoding="utf-8")

    def prose(self) -> Iterator[Prose]:
        for file in self.python_files.values():
            yield from file.prose()
        for path in self.files:
            if path.endswith(".md"):
                yield from _markdown_prose(path, self.read(path))
            elif path.endswith((".yaml", ".toml", ".sh", "Makefile", ".in")):
                yield from _comments(path, self.read(path).splitlines())


@dataclass(frozen=True)
class PythonFile:
    """A parsed source file."""

    path: str
    source: str

    @cached_property
    def module(self) -> ast.Module:
        return ast.parse(self.source, self.path)

    @cached_property
    def _docstrings(self) -> list[ast.Expr]:
        """Every string that stands as a statement: docstrings, and the notes below constants and fields."""
        return [
            statement
            for statement in statements(self.module.body)
            if isinstance(statement, ast.Expr)
            and isinstance(statement.value, ast.Constant)
            and isinstance(statement.value.value, str)
        ]

    @cached_property
    def _lines_inside_strings(self) -> frozenset[int]:
        """The lines of strings of several lines: what looks like a comment there is none."""
        return frozenset(
            number
            for node in ast.walk(self.module)
            if isinstance(node, ast.Constant | ast.JoinedStr) and node.end_lineno != node.lineno
            for number in range(node.lineno, node.end_lineno or node.lineno)
        )

    @cached_property
    def code_lines(self) -> list[str]:
        """The source's lines, empty where a docstring stands."""
        lines = self.source.splitlines()
        for docstring in self._docstrings:
            for number in range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1):
                lines[number - 1] = ""
        return lines

    def prose(self) -> Iterator[Prose]:
        lines = self.source.splitlines()
        for docstring in self._docstrings:
            for number in range(docstring.lineno, (docstring.end_lineno or docstring.lineno) + 1):
                yield Prose(self.path, number, lines[number - 1])
        for comment in _comments(self.path, self.code_lines):
            if comment.line not in self._lines_inside_strings:
                yield comment


_SCOPES = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def statements(body: list[ast.stmt], *, enters_scopes: bool = True) -> Iterator[ast.stmt]:
    """The statements of a body and of all blocks in it, those of functions and classes included."""
    for statement in body:
        yield statement
        if isinstance(statement, _SCOPES) and not enters_scopes:
            continue
        for block in ("body", "orelse", "finalbody", "handlers", "cases"):
            for inner in getattr(statement, block, []):
                if isinstance(inner, ast.stmt):
                    yield from statements([inner], enters_scopes=enters_scopes)
                else:  # an except clause, or a case of a match
                    yield from statements(inner.body, enters_scopes=enters_scopes)


def _comments(path: str, lines: list[str]) -> Iterator[Prose]:
    for number, line in enumerate(lines, 1):
        if comment := _COMMENT.search(line):
            yield Prose(path, number, comment[1])


def _markdown_prose(path: str, text: str) -> Iterator[Prose]:
    """A changelog's released part is history: it may name what has gone since."""
    is_changelog, is_code_block, num_releases = path == "CHANGELOG.md", False, 0
    for number, line in enumerate(text.splitlines(), 1):
        num_releases += is_changelog and line.startswith("## ") and "unreleased" not in line.lower()
        if num_releases:
            return
        if line.lstrip().startswith("```"):
            is_code_block = not is_code_block
        else:
            yield Prose(path, number, line, is_code_block)
