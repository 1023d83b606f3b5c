"""Tests mirror modules: each module has a test file of its name, and each test file has a module."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath

from tools.checks.tree import Problem, Tree

MIRRORED = ("deployments", "longtake", "pipeline")


def mirror_problems(tree: Tree, allowed: Mapping[str, str]) -> Iterator[Problem]:
    """`allowed` maps a module, a folder or a test file without its counterpart to the reason."""
    tests = {mirror_of(path): path for path in tree.files if _is_module(path)}
    found = {
        **{module: f"has no test file: write {test}" for test, module in tests.items() if test not in tree.files},
        **{path: "is named after no module" for path in tree.files if _is_test(path) and path not in tests},
    }
    used = set()
    for path, message in sorted(found.items()):
        if exception := next((entry for entry in allowed if _covers(entry, path)), None):
            used.add(exception)
        else:
            yield Problem(path, 1, message)
    for unused in sorted(allowed.keys() - used):
        yield Problem("tools/checks/allowed.py", 1, f"nothing needs the exception {unused!r}: delete it")


def mirror_of(module: str) -> str:
    """`pipeline/store/leases.py` is tested by `tests/pipeline/store/test_leases.py`."""
    path = PurePosixPath(module)
    return str("tests" / path.parent / f"test_{path.name.lstrip('_')}")


def _covers(entry: str, path: str) -> bool:
    return path.startswith(entry) if entry.endswith("/") else path == entry


def _is_module(path: str) -> bool:
    is_code = path.startswith(tuple(f"{package}/" for package in MIRRORED)) and path.endswith(".py")
    return is_code and not path.endswith("/__init__.py") and "/migrations/" not in path


def _is_test(path: str) -> bool:
    is_mirrored = path.startswith(tuple(f"tests/{package}/" for package in MIRRORED))
    return is_mirrored and PurePosixPath(path).match("test_*.py")
