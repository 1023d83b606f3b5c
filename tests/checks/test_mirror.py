"""Each module has its test, and each test its module."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.checks.mirror import mirror_of, mirror_problems
from tools.checks.tree import Tree


def problems(*files: str, allowed: dict[str, str] | None = None) -> list[tuple[str, str]]:
    return [(problem.path, problem.message) for problem in mirror_problems(Tree(Path(), files), allowed or {})]


@pytest.mark.parametrize(
    ("module", "test"),
    [
        ("pipeline/errors.py", "tests/pipeline/test_errors.py"),
        ("pipeline/store/runs.py", "tests/pipeline/store/test_runs.py"),
        ("longtake/_core.py", "tests/longtake/test_core.py"),
    ],
)
def test_a_test_stands_where_its_module_does(module: str, test: str) -> None:
    assert mirror_of(module) == test
    assert problems(module, test) == []


def test_a_module_without_a_test_is_found() -> None:
    found = problems("pipeline/store/runs.py", "tests/pipeline/test_runs.py")
    assert found == [
        ("pipeline/store/runs.py", "has no test file: write tests/pipeline/store/test_runs.py"),
        ("tests/pipeline/test_runs.py", "is named after no module"),
    ]


def test_only_modules_of_the_server_and_the_client_are_mirrored() -> None:
    assert problems(
        "pipeline/__init__.py",
        "pipeline/store/migrations/env.py",
        "tools/demo.py",
        "web/page/app.js",
        "tests/graph/test_faults.py",
        "tests/pipeline/conftest.py",
        "tests/test_readme.py",
    ) == []  # fmt: skip


def test_exceptions_name_files_or_folders() -> None:
    files = ("pipeline/types/plans.py", "pipeline/types/texts.py", "tests/pipeline/test_days.py")
    assert (
        problems(*files, allowed={"pipeline/types/": "no behaviour", "tests/pipeline/test_days.py": "all rooms"}) == []
    )
    assert [path for path, _ in problems(*files, allowed={"pipeline/types": "no folder"})][:2] == list(files[:2])


def test_an_exception_that_nothing_needs_is_a_problem() -> None:
    files = ("pipeline/errors.py", "tests/pipeline/test_errors.py")
    (found,) = problems(*files, allowed={"pipeline/errors.py": "to do"})
    assert found == ("tools/checks/allowed.py", "nothing needs the exception 'pipeline/errors.py': delete it")
