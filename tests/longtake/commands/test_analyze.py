"""`longtake analyze`, run as a process against the server's own routes."""

from __future__ import annotations

import csv
import io
import json
import signal
import time
from pathlib import Path

import pytest

from pipeline import errors
from pipeline.analysis import PlanReady
from pipeline.types import StoredVideo
from tests.deployments.api.fakes import ANSWERED, FAILED, ONE_CHUNK_PLAN, PLAN, FakeOrchestrator, done
from tests.longtake.commands.processes import ANSI, run, started

PROMPT = ["--prompt", "What happens?"]


@pytest.fixture
def whole(orchestrator: FakeOrchestrator) -> None:
    """Every chunk is answered."""
    orchestrator.events = (
        PlanReady(ONE_CHUNK_PLAN),
        done("[00:05] A cat sits.", plan=ONE_CHUNK_PLAN, chunk_answers=(ANSWERED,)),
    )


@pytest.mark.usefixtures("whole")
def test_only_the_answer_is_on_stdout(server: str, film: Path) -> None:
    finished = run("analyze", film, *PROMPT, server=server)
    assert (finished.returncode, finished.stdout) == (0, "[00:05] A cat sits.\n")
    progress = ANSI.sub("", finished.stderr)
    assert "cat.mp4: What happens?" in progress and "upload" in progress and "plan" in progress
    assert "1280x720 h264" in progress


@pytest.mark.usefixtures("whole")
def test_quiet_shows_no_progress(server: str, film: Path) -> None:
    assert run("analyze", film, *PROMPT, "--quiet", server=server).stderr == ""


def test_a_partial_answer_has_its_own_exit_status(server: str, film: Path) -> None:
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
    ("arguments", "words"),
    [
        (["nowhere.mp4", *PROMPT], "There is no file nowhere.mp4"),
        (["FILM"], "--prompt"),
        (["FILM", *PROMPT, "--start", "1:75"], "is not a time"),
        (["FILM", *PROMPT, "--set", "fps"], "is not FIELD=VALUE"),
        (["FILM", *PROMPT, "--fps", "100"], "fps is '100.0'"),
        (["FILM", *PROMPT, "--set", "frames=1"], "frames is not a field"),
        (["FILM", *PROMPT, "-f", "And then?", "--format", "srt"], "srt holds one answer, but there will be 2"),
        (["FILM", *PROMPT, "--output", "no/such/folder/answer.md"], "There is no folder no/such/folder"),
    ],
)
def test_usage_errors(arguments: list[str], words: str, server: str, film: Path) -> None:
    finished = run("analyze", *[str(film) if argument == "FILM" else argument for argument in arguments], server=server)
    assert finished.returncode == 2
    message = " ".join(ANSI.sub("", finished.stderr).replace("│", " ").split())
    assert words in message and "Traceback" not in message


def test_an_unreachable_server(film: Path, closed_port: int) -> None:
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
def test_formats(server: str, film: Path, tmp_path: Path) -> None:
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
def test_a_folder_gets_one_file_per_answer(server: str, film: Path, tmp_path: Path) -> None:
    folder = tmp_path / "answers"
    folder.mkdir()
    arguments = ["analyze", film, *PROMPT, "-f", "And then?", "--format", "srt", "-o", folder]
    assert run(*arguments, server=server).returncode == 0
    assert sorted(file.name for file in folder.iterdir()) == ["cat-2.srt", "cat.srt"]


def test_ctrl_c_cancels_the_analysis(server: str, film: Path, orchestrator: FakeOrchestrator) -> None:
    orchestrator.is_stuck = True
    with started("analyze", film, *PROMPT, server=server) as process:
        until = time.monotonic() + 30
        while not orchestrator.jobs:
            assert time.monotonic() < until
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, progress = process.communicate(timeout=30)
        assert process.returncode == 130
        assert "Cancelled" in progress and "Traceback" not in progress
        while not orchestrator.ended.is_set():
            assert time.monotonic() < until, "the server goes on"
            time.sleep(0.05)
