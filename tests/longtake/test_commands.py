"""The command, run as a process against the server's own routes."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from longtake import checks
from longtake.checks import Finding, Verdict
from longtake.commands.app import app as command
from longtake.commands.arguments import options_of, seconds_of
from longtake.commands.serve import _configured
from longtake.commands.sessions import NoServer, own_server
from pipeline import errors
from pipeline.analysis import PlanReady
from pipeline.types import StoredVideo
from tests.deployments.api.fakes import ANSWERED, FAILED, ONE_CHUNK_PLAN, PLAN, FakeOrchestrator, done

ROOT = Path(__file__).parent.parent.parent
LONGTAKE = [sys.executable, "-m", "longtake.cli"]
PROMPT = ["--prompt", "What happens?"]
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def run(*arguments: str | Path, server: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"COLUMNS": "120", "PYTHONPATH": str(ROOT)}
    environment.pop("LONGTAKE_SERVER", None)
    if server is not None:
        environment["LONGTAKE_SERVER"] = server
    command = [*LONGTAKE, *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A file that only a fake server takes for a video."""
    file = tmp_path / "cat.mp4"
    file.write_bytes(b"\0\0\0\x18ftypisom" + b"\0" * 200_000)
    return file


@pytest.fixture
def whole(orchestrator: FakeOrchestrator) -> None:
    """Every chunk is answered."""
    orchestrator.events = (
        PlanReady(ONE_CHUNK_PLAN),
        done("[00:05] A cat sits.", plan=ONE_CHUNK_PLAN, chunk_answers=(ANSWERED,)),
    )


# --- analyze ----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("whole")
def test_an_answer_alone_is_on_stdout(server: str, film: Path) -> None:
    finished = run("analyze", film, *PROMPT, server=server)
    assert (finished.returncode, finished.stdout) == (0, "[00:05] A cat sits.\n")
    told = ANSI.sub("", finished.stderr)
    assert "cat.mp4: What happens?" in told and "upload" in told and "plan" in told and "1280x720 h264" in told


@pytest.mark.usefixtures("whole")
def test_quiet_says_nothing_else(server: str, film: Path) -> None:
    assert run("analyze", film, *PROMPT, "--quiet", server=server).stderr == ""


def test_a_partial_answer_has_a_status_of_its_own(server: str, film: Path) -> None:
    finished = run("analyze", film, *PROMPT, "--format", "json", server=server)
    assert finished.returncode == 3
    (analysis,) = json.loads(finished.stdout)["analyses"]
    assert analysis["video"] == str(film) and analysis["prompt"] == "What happens?" and analysis["error"] is None
    assert analysis["answer"]["aggregated_response"] == "A cat sits all day."
    assert "1 failed" in ANSI.sub("", finished.stderr)


def test_nothing_answered(server: str, film: Path, orchestrator: FakeOrchestrator) -> None:
    orchestrator.events = (PlanReady(PLAN), done(None, chunk_answers=(FAILED,)))
    assert run("analyze", film, *PROMPT, server=server).returncode == 1
    orchestrator.events = (errors.UnreadableVideo("The video was cut off."),)
    finished = run("analyze", film, *PROMPT, server=server)
    assert finished.returncode == 1 and "The video was cut off." in finished.stderr
    assert "Traceback" not in finished.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["nowhere.mp4", *PROMPT], "nowhere.mp4 is not there"),
        (["FILM"], "--prompt"),
        (["FILM", *PROMPT, "--start", "1:75"], "is no time"),
        (["FILM", *PROMPT, "--set", "fps"], "is not FIELD=VALUE"),
        (["FILM", *PROMPT, "--fps", "100"], "fps is '100.0'"),
        (["FILM", *PROMPT, "--set", "frames=1"], "frames is not a field"),
        (["FILM", *PROMPT, "-f", "And then?", "--format", "srt"], "srt holds one answer, and 2 are asked for"),
        (["FILM", *PROMPT, "--output", "no/such/folder/answer.md"], "the folder no/such/folder is not there"),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], told: str, server: str, film: Path) -> None:
    finished = run("analyze", *[str(film) if argument == "FILM" else argument for argument in arguments], server=server)
    assert finished.returncode == 2
    message = " ".join(ANSI.sub("", finished.stderr).replace("│", " ").split())
    assert told in message and "Traceback" not in message


def test_nobody_there(film: Path, closed_port: int) -> None:
    finished = run("analyze", film, *PROMPT, "--server", f"http://127.0.0.1:{closed_port}")
    assert finished.returncode == 4 and "longtake serve" in finished.stderr


@pytest.mark.usefixtures("whole")
def test_follow_ups_send_the_file_once(server: str, film: Path, orchestrator: FakeOrchestrator, uploads: Path) -> None:
    finished = run("analyze", film, *PROMPT, "-f", "And then?", "-f", "Why?", "--format", "json", server=server)
    assert finished.returncode == 0, finished.stderr
    assert [job.prompt.text for job in orchestrator.jobs] == ["What happens?", "And then?", "Why?"]
    (source,) = {job.source for job in orchestrator.jobs}
    assert isinstance(source, StoredVideo)
    assert not list(uploads.glob("*/video"))  # it is deleted in the end
    assert len(json.loads(finished.stdout)["analyses"]) == 3


@pytest.mark.usefixtures("whole")
def test_options_arrive(server: str, film: Path, orchestrator: FakeOrchestrator) -> None:
    options = ["-c", "30", "--fps", "1", "--start", "1:00", "--end", "90", "--no-merge", "--seed", "7"]
    finished = run("analyze", film, *PROMPT, *options, "--set", 'stop=["x"]', "--set", "cache-salt=me", server=server)
    assert finished.returncode == 0, finished.stderr
    (job,) = orchestrator.jobs
    chunking = job.chunking
    assert (chunking.chunk_duration_seconds, chunking.frame_sampling.fps) == (30, 1)
    assert (chunking.video_start_seconds, chunking.video_end_seconds) == (60, 90)
    assert (job.aggregate, job.token_sampling.seed, job.token_sampling.stop) == (False, 7, ("x",))
    assert job.cache_salt == "me"


@pytest.mark.usefixtures("whole")
def test_a_format_for_every_taste(server: str, film: Path, tmp_path: Path) -> None:
    for name in ("a.md", "a.srt", "a.vtt", "a.csv", "a.json", "a.txt"):
        assert run("analyze", film, *PROMPT, "-q", "-o", tmp_path / name, server=server).returncode == 0
    assert (tmp_path / "a.md").read_text().startswith("## cat.mp4\n\n### What happens?\n\n")
    assert (tmp_path / "a.srt").read_text() == "1\n00:00:05,000 --> 00:01:58,000\nA cat sits.\n"
    assert (tmp_path / "a.vtt").read_text().startswith("WEBVTT\n\n00:00:05.000 -->")
    (row,) = csv.DictReader(io.StringIO((tmp_path / "a.csv").read_text()))
    assert (row["video"], row["start"], row["text"]) == (str(film), "5.000", "A cat sits.")
    assert json.loads((tmp_path / "a.json").read_text())["analyses"][0]["answer"]["success"]
    assert (tmp_path / "a.txt").read_text() == "[00:05] A cat sits.\n"


@pytest.mark.usefixtures("whole")
def test_a_folder_takes_a_file_of_each_answer(server: str, film: Path, tmp_path: Path) -> None:
    folder = tmp_path / "answers"
    folder.mkdir()
    arguments = ["analyze", film, *PROMPT, "-f", "And then?", "--format", "srt", "-o", folder]
    assert run(*arguments, server=server).returncode == 0
    assert sorted(file.name for file in folder.iterdir()) == ["cat-2.srt", "cat.srt"]


@contextmanager
def started(*arguments: str | Path, server: str) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"LONGTAKE_SERVER": server, "PYTHONPATH": str(ROOT)}
    command = [*LONGTAKE, *map(str, arguments)]
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored here, and then is below
    try:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, handler)
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_ctrl_c_ends_the_analysis_too(server: str, film: Path, orchestrator: FakeOrchestrator) -> None:
    orchestrator.is_stuck = True
    with started("analyze", film, *PROMPT, server=server) as process:
        until = time.monotonic() + 30
        while not orchestrator.jobs:
            assert time.monotonic() < until
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=30)
        assert process.returncode == 130
        assert "Cancelled" in told and "Traceback" not in told
        while not orchestrator.ended.is_set():
            assert time.monotonic() < until, "the server goes on"
            time.sleep(0.05)


# --- plan, serve, doctor ----------------------------------------------------------------------------------------------


def test_plan(server: str, film: Path, orchestrator: FakeOrchestrator) -> None:
    finished = run("plan", film, "--chunks", server=server)
    assert finished.returncode == 0, finished.stderr
    for told in ("2 of up to 60 s", "8, 0.067 per second", "not known yet", "nothing is measured yet", "1152x640"):
        assert told in finished.stdout
    assert not list(orchestrator.uploaded)


def test_plan_as_json(server: str, film: Path) -> None:
    (planned,) = json.loads(run("plan", film, "--json", server=server).stdout)["estimates"]
    assert planned["video"] == str(film) and planned["estimate"]["num_chunks"] == 2


def test_a_plan_that_cannot_be_made(server: str, film: Path) -> None:
    finished = run("plan", film, "--fps", "100", server=server)
    assert finished.returncode == 2 and "fps is '100.0'" in finished.stderr


def test_serve_lays_its_options_over_the_configuration() -> None:
    with _configured(ROOT / "serve_config.yaml", None, 9000, "some/model") as (file, address):
        laid_over = yaml.safe_load(file.read_text())
        assert address == ("127.0.0.1", 9000)
    original = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    assert laid_over["http_options"] == original["http_options"] | {"port": 9000}
    assert laid_over["applications"][0]["args"] == original["applications"][0]["args"] | {"model": "some/model"}
    assert laid_over["applications"][0]["deployments"] == original["applications"][0]["deployments"]
    assert not file.exists()
    with _configured(ROOT / "serve_config.yaml", None, None, None) as (file, address):
        assert (file, address) == (ROOT / "serve_config.yaml", ("127.0.0.1", 8000))


def test_serve_needs_a_configuration_and_a_port(server: str) -> None:
    finished = run("serve", "nowhere.yaml")
    assert finished.returncode == 2 and "There is no nowhere.yaml" in finished.stderr
    finished = run("serve", "--port", server.rsplit(":", 1)[1])
    assert finished.returncode == 4 and "is taken" in finished.stderr


def test_doctor_of_a_server(server: str, orchestrator: FakeOrchestrator) -> None:
    finished = run("doctor", "--server", server)
    assert finished.returncode == 0 and "is ready, with longtake-demo" in finished.stdout
    orchestrator.ready_error = errors.EngineFailed("No token came.")
    finished = run("doctor", "--server", server)
    assert finished.returncode == 1 and "No token came." in finished.stdout


def test_doctor_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line of the tests' own machine: it runs the server, so that nothing is missing."""
    monkeypatch.delenv("LONGTAKE_SERVER", raising=False)
    result = CliRunner().invoke(command, ["doctor", "--json"])
    report = json.loads(result.stdout)
    verdicts = {finding["what"]: finding["verdict"] for finding in report["findings"]}
    assert report["ok"] and result.exit_code == 0, verdicts
    assert {"python", "ray", "vllm", "ffmpeg", "torchcodec", "gpu", "shared memory", "port 8000"} <= verdicts.keys()
    assert {"disk", "configuration", "embedded model"} <= verdicts.keys()
    assert verdicts["torchcodec"] == "ok"


def test_doctor_says_how_to_get_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Finding("ffmpeg", Verdict.MISSING, "no libavcodec", "apt-get install ffmpeg")
    monkeypatch.setattr(checks, "server_findings", lambda: [missing])
    monkeypatch.delenv("LONGTAKE_SERVER", raising=False)
    result = CliRunner().invoke(command, ["doctor"])
    assert result.exit_code == 1
    assert "✗ ffmpeg" in result.stdout and "apt-get install ffmpeg" in result.stdout
    assert "Missing: ffmpeg." in result.stdout


def test_doctor_sees_what_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "find_library", lambda name: None)
    monkeypatch.setattr(checks, "_tried", lambda command: None)
    monkeypatch.setattr(checks, "is_port_free", lambda port: False)
    findings = {finding.what: finding for finding in checks.server_findings()}
    assert findings["ffmpeg"].found == "no libavcodec, libavformat, libavutil"
    assert findings["torchcodec"].verdict is Verdict.MISSING
    assert findings["gpu"].verdict is findings["port 8000"].verdict is Verdict.NOTE
    assert all(finding.remedy for finding in findings.values() if finding.verdict is not Verdict.OK)


def test_without_the_servers_packages_one_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from rich.console import Console

    monkeypatch.setattr("longtake.commands.sessions.SERVER_PACKAGES", ("no_such_package",))
    with pytest.raises(NoServer, match=r"no_such_package.*--server"), own_server(None, [], Console()):
        pass


# --- The rest ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "analyze", "plan", "serve", "doctor"])
def test_help(name: str) -> None:
    result = CliRunner().invoke(command, [*filter(None, [name]), "--help"])
    assert result.exit_code == 0 and "Usage" in result.stdout


def test_completion_and_version() -> None:
    assert run("--version").stdout == "longtake 0.1.0\n"
    environment = os.environ | {"_LONGTAKE_COMPLETE": "complete_bash", "COMP_WORDS": "longtake a", "COMP_CWORD": "1"}
    code = "import sys; sys.argv[0] = 'longtake'; from longtake.cli import main; main()"
    completed = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert completed.stdout.split() == ["analyze"]


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1:30", 90), ("1:02:03.5", 3723.5), ("0:00", 0)])
def test_times(text: str, seconds: float) -> None:
    assert seconds_of(text, "--start") == seconds


def test_any_field_may_be_set() -> None:
    options = options_of(["temperature=0.2", "aggregation_prompt=Sing.", "logprobs=true"], fps=1.0, nframes=None)
    assert options == {"fps": 1.0, "temperature": 0.2, "aggregation_prompt": "Sing.", "logprobs": True}


ENDED_IN_ORDER = """
import sys, time
print("up", flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.5)  # a second signal would break this off
    print("ended in order", flush=True)
sys.exit(1)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("is_ignored", [False, True])
def test_serve_ends_in_order(number: signal.Signals, is_ignored: bool) -> None:
    """Also where a script started it in the background, with SIGINT ignored."""
    ignore = "signal.signal(signal.SIGINT, signal.SIG_IGN); " if is_ignored else ""
    code = f"import signal, sys; {ignore}from longtake.commands.serve import _run; sys.exit(_run(sys.argv[1:]))"
    command = [sys.executable, "-c", code, sys.executable, "-c", ENDED_IN_ORDER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        time.sleep(0.2)
        process.send_signal(number)
        told, _ = process.communicate(timeout=30)
    assert (told, process.returncode) == ("ended in order\n", 0)
