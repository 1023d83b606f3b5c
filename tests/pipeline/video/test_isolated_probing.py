"""Probing in a process of its own returns the same results; a crash is reported as an error of the file."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import VideoLimits
from pipeline.errors import SourceUnavailable, UnreadableVideo, UnsupportedMedia
from pipeline.isolation.process import Ask, IsolatedProcess
from pipeline.video import isolated_probing
from pipeline.video.isolated_probing import IsolatedProbe, ProbeRequest
from pipeline.video.probing import probe
from tests.clips import BrokenFiles, ClipFolder
from tests.pipeline.video.origins import FakeOrigin, probe_apart


@pytest.fixture(scope="module")
def isolated() -> Iterator[IsolatedProbe]:
    isolated = IsolatedProbe()
    yield isolated
    isolated.close()


@pytest.mark.parametrize("name", ["h264", "vfr", "ts"])
def test_findings_are_those_of_probe(name: str, isolated: IsolatedProbe, clips: ClipFolder) -> None:
    path = clips.path(name)
    ours = isolated(path, size_bytes=path.stat().st_size, fingerprint="bytes", limits=VideoLimits())
    theirs = probe(path, fingerprint="bytes", limits=VideoLimits())
    assert ours.info == theirs.info
    assert (ours.pts_seconds == theirs.pts_seconds).all()
    assert (ours.packet_index is None) == (theirs.packet_index is None)
    if ours.packet_index and theirs.packet_index:
        assert ours.packet_index.runs(np.array([3])) == theirs.packet_index.runs(np.array([3]))


def test_refusals_come_through(isolated: IsolatedProbe, broken_files: BrokenFiles) -> None:
    with pytest.raises(UnsupportedMedia, match="judging by its first bytes"):
        isolated(broken_files.text(), size_bytes=1, fingerprint="bytes", limits=VideoLimits())


class DyingWorker:
    def __call__(self, request: ProbeRequest, memory_fd: int | None, ask: Ask) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)


class HangingWorker:
    def __call__(self, request: ProbeRequest, memory_fd: int | None, ask: Ask) -> None:
        while True:
            pass


@pytest.mark.parametrize(
    ("worker", "message"),
    [
        ("DyingWorker", r"FFmpeg crashed \(signal 11\) over it"),
        ("HangingWorker", r"took more than \d s of a core over it"),
    ],
)
def test_a_death_is_the_files_error(
    worker: str, message: str, clips: ClipFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(isolated_probing, "_LEAST_CPU_SECONDS", 0.5)
    monkeypatch.setattr(isolated_probing, "IsolatedProcess", lambda *_: IsolatedProcess(f"{__name__}:{worker}"))
    isolated = IsolatedProbe()
    with pytest.raises(UnreadableVideo, match=message):
        isolated(clips.path("h264"), size_bytes=1, fingerprint="bytes", limits=VideoLimits())
    isolated.close()


def test_an_origin_that_is_gone_is_the_error(clips: ClipFolder, isolated: IsolatedProbe, tmp_path: Path) -> None:
    origin = FakeOrigin(clips.path("h264"), tmp_path / "blocks")

    def gone(wanted: tuple[int, int]) -> None:
        raise SourceUnavailable("The origin is gone.")

    with pytest.raises(SourceUnavailable, match="The origin is gone"):
        probe_apart(isolated, origin, gone)
    assert probe_apart(isolated, origin, origin.fetch).info.total_frames == 100
