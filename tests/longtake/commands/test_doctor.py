"""`longtake doctor`."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from longtake import checks
from longtake.checks import Finding, Verdict
from longtake.commands.app import app as command
from pipeline import errors
from tests.deployments.api.fakes import FakeOrchestrator
from tests.longtake.commands.processes import run


def test_a_server(server: str, orchestrator: FakeOrchestrator) -> None:
    finished = run("doctor", "--server", server)
    assert finished.returncode == 0 and "is ready, with longtake-demo" in finished.stdout
    orchestrator.ready_error = errors.EngineFailed("No token came.")
    finished = run("doctor", "--server", server)
    assert finished.returncode == 1 and "No token came." in finished.stdout


def test_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line of the tests' own machine: it runs the server, so that nothing is missing."""
    monkeypatch.delenv("LONGTAKE_SERVER", raising=False)
    result = CliRunner().invoke(command, ["doctor", "--json"])
    report = json.loads(result.stdout)
    verdicts = {finding["what"]: finding["verdict"] for finding in report["findings"]}
    assert report["ok"] and result.exit_code == 0, verdicts
    assert {"python", "ray", "vllm", "ffmpeg", "torchcodec", "gpu", "shared memory", "port 8000"} <= verdicts.keys()
    assert {"disk", "configuration", "embedded model"} <= verdicts.keys()
    assert verdicts["torchcodec"] == "ok"


def test_it_shows_how_to_fix_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Finding("ffmpeg", Verdict.MISSING, "no libavcodec", "apt-get install ffmpeg")
    monkeypatch.setattr(checks, "server_findings", lambda: [missing])
    monkeypatch.delenv("LONGTAKE_SERVER", raising=False)
    result = CliRunner().invoke(command, ["doctor"])
    assert result.exit_code == 1
    assert "✗ ffmpeg" in result.stdout and "apt-get install ffmpeg" in result.stdout
    assert "Missing: ffmpeg." in result.stdout
