"""FrameDecoder without Serve: its results, and how it stops cancelled work."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import ray

from deployments.frame_decoder import FrameDecoder
from pipeline.config import DecodingSettings, SourceSettings
from pipeline.decoding.patches import prepared_chunk
from pipeline.errors import SourceChanged
from pipeline.sources import VideoLibrary
from pipeline.types import ChunkPlan, LocalVideo
from tests.clips import ClipFolder
from tests.pipeline.decoding.chunks import SMALL, decoded, planned
from tests.timing import keeps_within
from tests.worker_hosts import forked_workers

SOURCE = LocalVideo("h264.mp4")


@pytest.fixture(scope="module")
def settings(clips: ClipFolder) -> SourceSettings:
    return SourceSettings(media_roots=(clips.path("h264").parent,))


class FakeNode:
    """A node of Ray's."""

    def get_node_id(self) -> str:
        return f"node of {os.getpid()}"


@pytest.fixture
def decoder(settings: SourceSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[FrameDecoder]:
    monkeypatch.setattr(ray, "get_gpu_ids", list)
    monkeypatch.setattr(ray, "get_runtime_context", FakeNode)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # as it sets it for its own process; undone afterwards
    decoder = FrameDecoder(settings, DecodingSettings())
    yield decoder
    decoder.close()


def plan_of(path: Path, settings: SourceSettings, size_px: int = 64, seconds: float = 1.5) -> ChunkPlan:
    with VideoLibrary(settings).open(SOURCE) as copy:
        fingerprint = copy.fingerprint
    plan = planned(path, seconds=seconds, sampling=replace(SMALL, fps=25.0, resized_px=(size_px, size_px)))
    return replace(plan, video=replace(plan.video, fingerprint=fingerprint))


def workers() -> list[int]:
    """The processes that decode, below their hosts."""
    return [worker.pid for worker in forked_workers("DecodeWorker")]


def test_it_gives_the_planned_frames(decoder: FrameDecoder, settings: SourceSettings, clips: ClipFolder) -> None:
    path = clips.path("h264")
    plan = plan_of(path, settings)
    result = asyncio.run(decoder.decode(SOURCE, plan.video, plan.chunks[1]))
    (expected,) = decoded(path, (plan.chunks[1],))
    wanted = prepared_chunk(expected, plan.video.fingerprint)
    assert [segment.content_id for segment in result.segments] == [segment.content_id for segment in wanted.segments]
    for ours, theirs in zip(result.segments, wanted.segments, strict=True):
        assert np.array_equal(ours.patches, theirs.patches)


def test_another_video_than_was_planned_for_is_refused(
    decoder: FrameDecoder, settings: SourceSettings, clips: ClipFolder
) -> None:
    plan = plan_of(clips.path("h264"), settings)
    with pytest.raises(SourceChanged):
        asyncio.run(decoder.decode(SOURCE, replace(plan.video, fingerprint="another"), plan.chunks[0]))


def test_a_decode_that_is_cancelled_ends_within_a_moment(
    decoder: FrameDecoder, settings: SourceSettings, clips: ClipFolder
) -> None:
    path = clips.path("h264")
    short, long = plan_of(path, settings), plan_of(path, settings, size_px=1024, seconds=4.0)

    async def cancel_the_long_one() -> tuple[list[int], float, int]:
        await decoder.decode(SOURCE, short.video, short.chunks[0])  # so that the worker is there
        before = workers()
        work = asyncio.ensure_future(decoder.decode(SOURCE, long.video, long.chunks[0]))  # some seconds of resizing
        waiting = asyncio.ensure_future(decoder.decode(SOURCE, short.video, short.chunks[1]))
        await asyncio.sleep(0.5)
        work.cancel()
        started = time.perf_counter()
        result = await waiting
        return before, time.perf_counter() - started, result.report.num_frames

    def seconds_to_the_next() -> float:
        before, seconds, num_frames = asyncio.run(cancel_the_long_one())
        assert len(before) == 1
        assert not psutil.pid_exists(before[0])
        assert num_frames == short.chunks[1].num_frames
        return seconds

    assert keeps_within(1.5, seconds_to_the_next)


def test_who_waits_and_is_cancelled_ends_nobody_elses_work(
    decoder: FrameDecoder, settings: SourceSettings, clips: ClipFolder
) -> None:
    plan = plan_of(clips.path("h264"), settings, size_px=512, seconds=4.0)

    async def cancel_the_second() -> int:
        first = asyncio.ensure_future(decoder.decode(SOURCE, plan.video, plan.chunks[0]))
        second = asyncio.ensure_future(decoder.decode(SOURCE, plan.video, plan.chunks[0]))
        await asyncio.sleep(0.3)
        second.cancel()
        return (await first).report.num_frames

    assert asyncio.run(cancel_the_second()) == plan.chunks[0].num_frames
