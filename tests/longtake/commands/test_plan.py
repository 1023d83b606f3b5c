"""`longtake plan`, run as a process against the server's own routes."""

from __future__ import annotations

import json
from pathlib import Path

from tests.deployments.api.fakes import FakeOrchestrator
from tests.longtake.commands.processes import run


def test_plan(server: str, film: Path, orchestrator: FakeOrchestrator) -> None:
    finished = run("plan", film, "--chunks", server=server)
    assert finished.returncode == 0, finished.stderr
    for words in ("2 of up to 60 s", "8, 0.067 per second", "not known yet", "nothing is measured yet", "1152x640"):
        assert words in finished.stdout
    assert not list(orchestrator.uploaded)


def test_plan_as_json(server: str, film: Path) -> None:
    (planned,) = json.loads(run("plan", film, "--json", server=server).stdout)["estimates"]
    assert planned["video"] == str(film) and planned["estimate"]["num_chunks"] == 2


def test_an_error(server: str, film: Path) -> None:
    finished = run("plan", film, "--fps", "100", server=server)
    assert finished.returncode == 2 and "fps is '100.0'" in finished.stderr
