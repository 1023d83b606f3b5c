"""The decoding process keeps the videos that it decoded last, and no frames."""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from numpy.typing import NDArray

from pipeline.decoding import worker as decoding_worker
from pipeline.decoding.backends import BACKENDS
from pipeline.decoding.chunk_decoder import ChunkDecoder
from pipeline.decoding.isolated_backends import DecodeRequest, IsolatedBackends, mapped_frames
from pipeline.decoding.worker import DecodeWorker
from pipeline.errors import DecodeFailed
from pipeline.isolation.process import IsolatedProcess
from tests.clips import BrokenFiles, ClipFolder, number_of
from tests.pipeline.decoding.chunks import ORDER, SMALL, planned


def test_work_that_failed_leaves_no_frames_behind(
    process: IsolatedProcess, clips: ClipFolder, broken_files: BrokenFiles
) -> None:
    """Its error holds them, and the next work would have to do without that memory."""
    path = clips.path("h264")
    plan = planned(path, sampling=replace(SMALL, resized_px=(1024, 1024), fps=25.0), seconds=4.0)
    failing = replace(plan.video, fingerprint="another")
    for _ in range(2):
        with closing(IsolatedBackends(process, broken_files.text(), failing)) as backends, pytest.raises(DecodeFailed):
            ChunkDecoder(backends, ORDER).decode(plan.chunks[0])
        mapped = psutil.Process(process.worker_pid).memory_maps(grouped=False)
        assert not [each for each in mapped if "memfd:frames" in each.path]


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> DecodeWorker:
    """In this process, whose standard error it leaves alone."""
    monkeypatch.setattr(decoding_worker, "ErrorLog", FakeErrorLog)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    return DecodeWorker()


class FakeErrorLog:
    """An FFmpeg that says what tests put into `errors`: an answer for each time it is asked."""

    def __init__(self) -> None:
        self.errors: list[bool] = []

    def has_errors(self) -> bool:
        return bool(self.errors) and self.errors.pop(0)


def request_of(path: Path, fingerprint: str = "bytes", backend: str = "pyav") -> DecodeRequest:
    chunk = planned(path).chunks[0]
    shape = (chunk.num_frames, chunk.height_px, chunk.width_px, 3)
    return DecodeRequest(path, fingerprint, backend, chunk, np.arange(chunk.num_frames), shape)


def decoded_by(worker: DecodeWorker, request: DecodeRequest) -> tuple[Any, NDArray[np.uint8]]:
    """The worker's answer, and the frames that it wrote into shared memory."""
    memory_fd = os.memfd_create("frames")
    os.ftruncate(memory_fd, int(np.prod(request.shape)))
    answer = worker(request, memory_fd, lambda what: None)
    frames = mapped_frames(memory_fd, request.shape)
    os.close(memory_fd)
    return answer, frames


def test_frames_are_written_to_shared_memory(worker: DecodeWorker, clips: ClipFolder) -> None:
    request = request_of(clips.path("h264"))
    answer, frames = decoded_by(worker, request)
    assert answer.positions == list(range(request.chunk.num_frames))
    assert [number_of(frame) for frame in frames] == request.chunk.frame_indices.tolist()


def test_errors_while_opening_are_no_damage_of_the_chunk(worker: DecodeWorker, clips: ClipFolder) -> None:
    log = worker._errors
    assert isinstance(log, FakeErrorLog)
    for errors, is_damaged in (([True, False], False), ([False, True], True), ([False, False], False)):
        log.errors = list(errors)
        answer, _ = decoded_by(worker, request_of(clips.path("h264")))
        assert answer.is_damaged == is_damaged


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The videos that PyAV opened, in order."""
    opened: list[Path] = []
    open_video = BACKENDS["pyav"]

    def counting(video: Any) -> Any:
        opened.append(video)
        return open_video(video)

    monkeypatch.setitem(BACKENDS, "pyav", counting)  # type: ignore[arg-type]
    return opened


def test_the_last_two_videos_stay_open(worker: DecodeWorker, clips: ClipFolder, opened: list[Path]) -> None:
    first, second, third = (clips.path(name) for name in ("h264", "mkv", "vp9"))
    for path in (first, first, second, first, third, first, second):
        decoded_by(worker, request_of(path))
    assert opened == [first, second, third, second]


def test_another_version_of_a_video_is_another_video(
    worker: DecodeWorker, clips: ClipFolder, opened: list[Path]
) -> None:
    path = clips.path("h264")
    for fingerprint in ("old", "new", "new"):
        decoded_by(worker, request_of(path, fingerprint))
    assert opened == [path, path]
