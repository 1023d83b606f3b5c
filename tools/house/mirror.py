"""Tests mirror modules: each module has a test file of its name, and each test file has a module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from tools.house.tree import Problem, Tree

MIRRORED = ("deployments", "longtake", "pipeline")


def mirror_problems(tree: Tree, allowed: Mapping[str, str]) -> Iterator[Problem]:
    """`allowed` maps a module or a test file without its counterpart to the reason."""
    tests = {mirror_of(path): path for path in tree.files if _is_module(path)}
    lonely = {module: test for test, module in tests.items() if test not in tree.files}
    stray = [path for path in tree.files if _is_mirror(path) and path not in tests]
    for module in sorted(lonely.keys() - allowed.keys()):
        yield Problem(module, 1, f"has no test file: write {lonely[module]}")
    for test in sorted(set(stray) - allowed.keys()):
        yield Problem(test, 1, "is named after no module: name it after the one it tests")
    for unused in sorted(allowed.keys() - lonely.keys() - set(stray)):
        yield Problem("tools/house/allowed.py", 1, f"nothing needs the exception {unused!r}: delete it")


def mirror_of(module: str) -> str:
    """`pipeline/store/runs.py` is tested by `tests/pipeline/store/test_runs.py`."""
    path = PurePosixPath(module)
    return str("tests" / path.parent / f"test_{path.name.lstrip('_')}")


def _is_module(path: str) -> bool:
    is_code = path.startswith(tuple(f"{package}/" for package in MIRRORED)) and path.endswith(".py")
    return is_code and not path.endswith("/__init__.py") and "/migrations/" not in path


def _is_mirror(path: str) -> bool:
    return path.startswith(tuple(f"tests/{package}/" for package in MIRRORED)) and PurePosixPath(path).match(
        "test_*.py"
    )
