"""Small checkouts for tests of the checks."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

from tools.checks.tree import Tree


def checkout(root: Path, **files: str) -> Tree:
    """Files by path, with `__` for a slash and `_py` or `_md` for the ending."""
    paths = []
    for name, text in files.items():
        path = name.replace("__", "/").removesuffix("_py")
        path = f"{path}.py" if name.endswith("_py") else path
        path = f"{path.removesuffix('_md')}.md" if name.endswith("_md") else path
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(dedent(text).lstrip("\n"))
        paths.append(path)
    if "Makefile" not in paths:
        (root / "Makefile").write_text("check: setup\n\truff\nbench-gpu:\nsetup:\n")
        paths.append("Makefile")
    return Tree(root, tuple(sorted(paths)))
