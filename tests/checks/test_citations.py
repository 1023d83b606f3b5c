"""Cited names and paths have to exist; names of other projects pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.checks.checkouts import checkout
from tools.checks.citations import Citations
from tools.checks.tree import Tree

RUNS = '''
class StoredRun:
    """One run."""

    lease_seconds: float

    def __init__(self) -> None:
        self.claimed_by = "runner"

    def renew(self) -> None: ...


class RetriedRun(StoredRun): ...


MAX_ATTEMPTS = 5
'''


def broken(root: Path, text: str, allowed: dict[str, str] | None = None) -> list[str]:
    """What is wrong with a line of a document."""
    tree = checkout(
        root, pipeline__store__runs_py=RUNS, pipeline__runs_py="", deployments__jobs__upkeep_py="", docs__about_md=text
    )
    return [str(problem) for problem in Citations(tree, allowed or {}).problems()]


@pytest.mark.parametrize(
    "text",
    [
        "see `pipeline.store.runs` and pipeline.store.runs.MAX_ATTEMPTS",
        "`pipeline.store.runs.StoredRun.renew` and `pipeline.store.runs.StoredRun.claimed_by`",
        "pipeline/store/runs.py, pipeline/store, `pipeline/store/` and deployments/*/upkeep.py",
        "`upkeep.py`, `store/runs.py`",
        "`StoredRun.lease_seconds`, `StoredRun.renew()` and `RetriedRun.renew`",
        "`make check`, `make bench-*` (make setup)",
        "`MAX_ATTEMPTS`, `StoredRun`, `claimed_by`, metrics such as `stored_run`",
        "`torch.linspace`, `value`, `fps`, https://example.org/pipeline/nowhere.py",
        "we make sure of it, and make a pair",
        "its `__init__.py` says which",
    ],
)
def test_names_that_exist_may_be_cited(text: str, tmp_path: Path) -> None:
    assert broken(tmp_path, text) == []


@pytest.mark.parametrize(
    ("text", "cited"),
    [
        ("see pipeline.store.nowhere", "pipeline.store.nowhere"),
        ("see `pipeline.store.runs.engine_priority`", "pipeline.store.runs.engine_priority"),
        ("see pipeline.store.runs.StoredRun.expire", "pipeline.store.runs.StoredRun.expire"),
        ("see pipeline/store/journal.py", "pipeline/store/journal.py"),
        ("see `deployments/api/`", "deployments/api"),
        ("see deployments/*/journal.py", "deployments/*/journal.py"),
        ("see `isolation.py`", "isolation.py"),
        ("see `runs.py`", "runs.py"),  # there are two
        ("see `StoredRun.expire`", "StoredRun.expire"),
        ("see `RetriedRun.expire`", "RetriedRun.expire"),
        ("see `runs.engine_priority`", "runs.engine_priority"),
        ("run `make bench-cpu`", "make bench-cpu"),
        ("as measured (make bench-cpu)", "make bench-cpu"),
        ("see `engine_priority`", "engine_priority"),
        ("see `MIN_ATTEMPTS`", "MIN_ATTEMPTS"),
        ("see `LostRun`", "LostRun"),
    ],
)
def test_names_that_do_not_exist_are_found(text: str, cited: str, tmp_path: Path) -> None:
    (problem,) = broken(tmp_path, f"# Title\n\n{text}\n")
    assert problem.startswith("docs/about.md:3: cites ")
    assert cited in problem


def test_comments_docstrings_and_settings_are_read(tmp_path: Path) -> None:
    code = '''
    """Uses pipeline.gone."""

    # Falls back to pipeline.lost.
    URL = "pipeline.text"  # as pipeline.late


    class Runner:
        lease: int
        """Of pipeline.field."""
    '''
    python = checkout(tmp_path, deployments__runner_py=code)
    (tmp_path / "app.toml").write_text("#".join(["[a]  ", " as pipeline.set\n"]))
    tree = Tree(tmp_path, (*python.files, "app.toml"))
    found = [(problem.line, problem.message.split()[1].rstrip(",")) for problem in Citations(tree, {}).problems()]
    lines = [(1, "pipeline.gone"), (3, "pipeline.lost"), (4, "pipeline.late"), (9, "pipeline.field")]
    assert sorted(found) == sorted([*lines, (1, "pipeline.set")])


def test_code_blocks_are_read_for_commands_alone(tmp_path: Path) -> None:
    text = "```\nmake nothing\nlost_name = `lost_name`\n```\n"
    (problem,) = broken(tmp_path, text)
    assert problem == "docs/about.md:2: cites `make nothing`, and the Makefile has no such target"


def test_what_a_changelog_says_of_releases_is_history(tmp_path: Path) -> None:
    text = "# Changelog\n\n## [Unreleased]\n\n- `pipeline.new`\n\n## [0.1.0]\n\n- `pipeline.old`\n"
    tree = checkout(tmp_path, pipeline__store__runs_py=RUNS, CHANGELOG_md=text)
    assert [problem.line for problem in Citations(tree, {}).problems()] == [5]


def test_a_file_cites_its_neighbours_by_name(tmp_path: Path) -> None:
    tree = checkout(
        tmp_path, pipeline__runs_py='"""Beside errors.py."""', pipeline__errors_py="", deployments__errors_py=""
    )
    assert not list(Citations(tree, {}).problems())


def test_an_exception_is_needed_or_a_problem(tmp_path: Path) -> None:
    assert broken(tmp_path, "see `engine_priority`", {"engine_priority": "vLLM's"}) == []
    (unused,) = broken(tmp_path, "see nothing", {"engine_priority": "vLLM's"})
    assert "nothing needs the exception 'engine_priority'" in unused


def test_examples_call_the_client_longtake(tmp_path: Path) -> None:
    client = "class Longtake:\n    def analyze(self) -> None: ...\n"
    tree = checkout(tmp_path, longtake__client_py=client, README_md="`longtake.analyze`, `longtake.lost`")
    assert [problem.message for problem in Citations(tree, {}).problems()] == [
        "cites longtake.lost, which is not defined"
    ]
