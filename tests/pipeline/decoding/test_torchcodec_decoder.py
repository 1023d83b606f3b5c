"""Exact frames by torchcodec, on a core and on a GPU."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from pipeline.decoding import torchcodec_decoder
from pipeline.decoding.chunk_decoder import TORCHCODEC_CUDA, ChunkDecoder
from pipeline.decoding.isolated_backends import IsolatedBackends
from pipeline.decoding.torchcodec_decoder import TorchcodecDecoder
from pipeline.errors import DecodeFailed
from pipeline.isolation.process import IsolatedProcess
from tests.clips import BrokenFiles, ClipFolder, number_of
from tests.pipeline.decoding.chunks import decoded, planned


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_its_backend_is_stood_in_for(clips: ClipFolder, process: IsolatedProcess) -> None:
    path = clips.path("h264")
    plan = planned(path)
    with closing(IsolatedBackends(process, path, plan.video)) as backends:
        result = ChunkDecoder(backends, (TORCHCODEC_CUDA, "pyav")).decode(plan.chunks[0])
    assert result.report.backend == "pyav"
    assert result.report.fallback_reason == "torchcodec cannot open the video on cuda"
    assert np.array_equal(result.frames, decoded(path, plan.chunks[:1])[0].frames)


@pytest.mark.gpu
def test_a_gpu_brings_the_planned_frames(clips: ClipFolder, process: IsolatedProcess) -> None:
    """Its colours differ by a little: it converts them itself."""
    path = clips.path("h264")
    plan = planned(path)
    with closing(IsolatedBackends(process, path, plan.video)) as backends:
        result = ChunkDecoder(backends, (TORCHCODEC_CUDA,)).decode(plan.chunks[0])
    (expected,) = decoded(path, plan.chunks[:1])
    assert np.abs(result.frames.astype(int) - expected.frames).mean() < 3


def test_frames_come_in_order_at_the_videos_size(clips: ClipFolder) -> None:
    chunk = planned(clips.path("h264")).chunks[1]
    with closing(TorchcodecDecoder(clips.path("h264"))) as decoder:
        frames = list(decoder.frames(chunk))
    assert [place for place, _ in frames] == list(range(chunk.num_frames))
    assert [number_of(frame) for _, frame in frames] == chunk.frame_indices.tolist()
    assert frames[0][1].shape == (128, 192, 3)


def test_source_pictures_are_decoded_in_blocks(clips: ClipFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block of two pictures: what is decoded at once does not grow with the chunk."""
    monkeypatch.setattr(torchcodec_decoder, "BLOCK_BYTES", 2 * 192 * 128 * 3)
    chunk = planned(clips.path("h264")).chunks[0]
    with closing(TorchcodecDecoder(clips.path("h264"))) as decoder:
        asked = []
        get_frames_at = decoder._decoder.get_frames_at

        def counted(indices: list[int]) -> Any:
            asked.append(len(indices))
            return get_frames_at(indices)

        monkeypatch.setattr(decoder._decoder, "get_frames_at", counted)
        numbers = [number_of(frame) for _, frame in decoder.frames(chunk)]
    assert numbers == chunk.frame_indices.tolist()
    assert max(asked) <= 2


def test_a_frame_that_fails_a_call_is_left_out_alone(clips: ClipFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    chunk = planned(clips.path("h264")).chunks[0]
    bad = {int(chunk.frame_indices[2]), int(chunk.frame_indices[3])}
    with closing(TorchcodecDecoder(clips.path("h264"))) as decoder:
        get_frames_at = decoder._decoder.get_frames_at

        def failing(indices: list[int]) -> Any:
            if bad & set(indices):
                raise RuntimeError("Invalid data found when processing input")
            return get_frames_at(indices)

        monkeypatch.setattr(decoder._decoder, "get_frames_at", failing)
        frames = dict(decoder.frames(chunk))
    assert list(frames) == [0, 1, *range(4, chunk.num_frames)]
    assert all(number_of(frame) == chunk.frame_indices[place] for place, frame in frames.items())


def test_frames_beyond_the_end_and_at_other_times_are_refused(clips: ClipFolder) -> None:
    chunk = planned(clips.path("h264")).chunks[0]
    with closing(TorchcodecDecoder(clips.path("h264"))) as decoder:
        with pytest.raises(DecodeFailed, match="counts only 100 frames"):
            list(decoder.frames(replace(chunk, frame_indices=chunk.frame_indices + 100)))
        with pytest.raises(DecodeFailed, match="in another way"):
            list(decoder.frames(replace(chunk, pts_seconds=chunk.pts_seconds + 0.02)))


def test_what_it_cannot_open_is_a_failed_decode_and_its_file_is_closed(broken_files: BrokenFiles) -> None:
    before = psutil.Process().num_fds()
    with pytest.raises(DecodeFailed, match="torchcodec cannot open the video"):
        TorchcodecDecoder(broken_files.text())
    assert psutil.Process().num_fds() == before
