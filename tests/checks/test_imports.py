"""What a test may import from other tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.checkouts import checkout
from tools.checks.imports import import_problems


def found(root: Path, code: str) -> list[str]:
    return [str(problem) for problem in import_problems(checkout(root, tests__pipeline__test_runs_py=code))]


@pytest.mark.parametrize(
    "code",
    [
        "from tests.clips import CLIPS, ClipFolder",
        "import tests.clips",
        "from pipeline.store.runs import _lease",  # ruff's business, and sometimes a test's
        "from __future__ import annotations",
        "from . import samples",
    ],
)
def test_helpers_are_shared_by_modules_of_their_own(code: str, tmp_path: Path) -> None:
    assert found(tmp_path, code) == []


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("from tests.pipeline.test_chunks import CHUNK, plan", "imports from tests.pipeline.test_chunks"),
        ("import tests.pipeline.test_chunks", "imports from tests.pipeline.test_chunks"),
        ("from tests.pipeline import test_chunks", "imports from tests.pipeline"),
        ("from tests.clips import _gray", "imports the private name _gray of tests.clips"),
        ("def test() -> None:\n    if True:\n        from tests.clips import _gray", "imports the private name _gray"),
    ],
)
def test_what_belongs_to_another_test_is_refused(code: str, words: str, tmp_path: Path) -> None:
    (problem,) = found(tmp_path, code)
    assert problem.startswith(f"tests/pipeline/test_runs.py:{len(code.splitlines())}: {words}")
