"""Backends in a process that may die: the same frames, and limits with room for honest videos."""

from __future__ import annotations

import os
import re
import signal
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.decoding import isolated_backends
from pipeline.decoding.backends import BACKENDS
from pipeline.decoding.chunk_decoder import BackendResult, ChunkDecoder
from pipeline.decoding.isolated_backends import DecodeRequest, IsolatedBackends, decode_limits, decoding_process
from pipeline.decoding.worker import DecodeWorker
from pipeline.errors import DecodeFailed
from pipeline.isolation.process import Ask, Cancellation, IsolatedProcess, WorkAborted
from tests.clips import TREATED_CLIPS, ClipFolder
from tests.pipeline.decoding.chunks import ORDER, check_numbers, decoded, planned
from tests.pipeline.decoding.treated import untreated


@pytest.mark.parametrize("name", ["h264", "av1", "ts", "rotated"])
def test_the_process_brings_the_same_frames(name: str, process: IsolatedProcess, clips: ClipFolder) -> None:
    path = clips.path(name)
    plan = planned(path)
    for chunk, expected in zip(plan.chunks, decoded(path, plan.chunks), strict=True):
        with closing(IsolatedBackends(process, path, plan.video)) as backends:
            result = ChunkDecoder(backends, ORDER).decode(chunk)
        assert (result.frames == expected.frames).all()
        assert replace(result.report, decode_seconds=0) == replace(expected.report, decode_seconds=0)


def test_the_process_treats_pictures_alike(clips: ClipFolder) -> None:
    """Within its limits, and without a word from FFmpeg that would pass for damage."""
    with closing(decoding_process()) as process:
        for name in TREATED_CLIPS:
            check_process(process, clips.path(name))


def check_process(process: IsolatedProcess, path: Path) -> None:
    plan = planned(path)
    for chunk, expected in zip(plan.chunks, decoded(path, plan.chunks), strict=True):
        with closing(IsolatedBackends(process, path, plan.video)) as backends:
            result = ChunkDecoder(backends, ORDER).decode(chunk)
        assert (result.frames == expected.frames).all()
        assert replace(result.report, decode_seconds=0) == replace(expected.report, decode_seconds=0)
        assert not result.report.is_damaged


class BreakingWorker(DecodeWorker):
    """Breaks in a way of each backend's own, and counts how often in a file."""

    def __call__(self, request: DecodeRequest, memory_fd: int | None, ask: Ask) -> BackendResult:
        with Path(os.environ["BREAKS"]).open("a") as breaks:
            breaks.write(f"{request.backend}\n")
        if request.backend == "planned":
            os.kill(os.getpid(), signal.SIGSEGV)
        while request.backend == "torchcodec":
            pass
        return super().__call__(request, memory_fd, ask)


def test_a_backend_that_breaks_is_replaced(tmp_path: Path, clips: ClipFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash may have had another reason and costs one retry; what takes too long would do so again."""
    breaks = tmp_path / "breaks"
    monkeypatch.setenv("BREAKS", str(breaks))
    monkeypatch.setattr(isolated_backends, "_LEAST_CPU_SECONDS", 0.5)
    path = clips.path("h264")
    plan = planned(path)
    with (
        closing(IsolatedProcess(f"{__name__}:BreakingWorker")) as process,
        closing(IsolatedBackends(process, path, plan.video)) as backends,
    ):
        result = ChunkDecoder(backends, ORDER).decode(plan.chunks[0])
    check_numbers("h264", plan.chunks[0], result)
    assert result.report.backend == "pyav"
    assert re.fullmatch(
        r"planned crashed \(signal 11\); torchcodec took more than \d+ s( of a core)?",
        result.report.fallback_reason or "",
    )
    assert breaks.read_text().split() == ["planned", "planned", "torchcodec", "pyav"]


def test_a_file_that_breaks_every_backend_is_a_failed_chunk(
    tmp_path: Path, clips: ClipFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREAKS", str(tmp_path / "breaks"))
    plan = planned(clips.path("h264"))
    with (
        closing(IsolatedProcess(f"{__name__}:BreakingWorker")) as process,
        closing(IsolatedBackends(process, clips.path("h264"), plan.video)) as backends,
        pytest.raises(DecodeFailed, match=r"No frame between 0\.0 s and 1\.5 s .*planned crashed \(signal 11\)"),
    ):
        ChunkDecoder(backends, ("planned",)).decode(plan.chunks[0])


def test_work_can_be_cancelled_before_it_begins(process: IsolatedProcess, clips: ClipFolder) -> None:
    path = clips.path("h264")
    plan = planned(path)
    cancellation = Cancellation()
    process.cancel(cancellation)
    with (
        closing(IsolatedBackends(process, path, plan.video, cancellation=cancellation)) as backends,
        pytest.raises(WorkAborted),
    ):
        ChunkDecoder(backends, ORDER).decode(plan.chunks[0])


def test_every_backend_has_the_time_that_its_way_takes(clips: ClipFolder) -> None:
    plan = planned(clips.path("h264"), seconds=1.0)
    video = replace(plan.video, total_frames=10**6, width=1920, height=1080)
    late = replace(plan.chunks[-1], start_seconds=3600.0, stop_seconds=3601.0)
    seconds = {backend: decode_limits(video, late, backend).cpu_seconds for backend in BACKENDS}
    assert seconds["planned"] < seconds["torchcodec"] == seconds["pyav"] < seconds["opencv"]


def test_limits_leave_room_for_large_pictures(clips: ClipFolder) -> None:
    plan = planned(clips.path("h264"))
    small = decode_limits(plan.video, plan.chunks[0], "planned")
    large = decode_limits(replace(plan.video, width=3840, height=2160), plan.chunks[0], "planned")
    assert 8 <= small.cpu_seconds < 9
    assert small.memory_bytes < 600 * 1024**2
    assert large.cpu_seconds > 12
    assert large.memory_bytes > 1024**3


def test_limits_leave_room_for_treatment(clips: ClipFolder) -> None:
    plan = planned(clips.path("hlg"))
    video = replace(plan.video, width=3840, height=2160)
    treated, raw = (decode_limits(video, chunk, "pyav") for chunk in (plan.chunks[0], untreated(plan.chunks[0])))
    assert treated.cpu_seconds > raw.cpu_seconds + 10
    assert treated.memory_bytes > raw.memory_bytes + 250 * 1024**2
