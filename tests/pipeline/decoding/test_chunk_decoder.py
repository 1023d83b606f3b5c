"""ChunkDecoder asks the backends in order and reports which of them delivered, and what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.decoding.backends import InProcessBackends
from pipeline.decoding.chunk_decoder import ChunkDecoder, DecodingBackend
from pipeline.errors import DecodeFailed, LongtakeError
from pipeline.types import Chunk, DecodedFrames
from pipeline.video.video_files import VideoFile
from tests.clips import CLIPS, BrokenFiles, ClipFolder
from tests.pipeline.decoding.chunks import SMALL, check_numbers, decoded, planned
from tests.pipeline.decoding.known_limits import REFUSED
from tests.pipeline.decoding.treated import UNTREATED, untreated


@pytest.mark.parametrize("name", CLIPS)
def test_chunks_in_any_order(name: str, clips: ClipFolder) -> None:
    """Chunks reach a replica in the order in which others finish; its decoder stays open between them."""
    path = clips.path(name)
    chunks = planned(path, seconds=1.0, overlap=0.2).chunks
    order = np.random.default_rng(0).permutation(len(chunks))
    shuffled = tuple(chunks[place] for place in [*order, *order])
    for chunk, result in zip(shuffled, decoded(path, shuffled), strict=True):
        check_numbers(name, chunk, result)


def test_first_backend_is_used_where_it_can(clips: ClipFolder) -> None:
    path = clips.path("h264")
    (result, *_) = decoded(path, planned(path).chunks)
    assert result.report.backend == "planned"
    assert result.report.fallback_reason is None
    assert result.report.decode_seconds > 0


@pytest.mark.parametrize("name", REFUSED["torchcodec"])
def test_fallback_is_recorded(name: str, clips: ClipFolder) -> None:
    path = clips.path(name)
    for result in decoded(path, planned(path).chunks):
        assert result.report.backend == "pyav"
        assert result.report.fallback_reason == "torchcodec counts the video's frames in another way"


def test_times_are_those_that_the_model_is_told(clips: ClipFolder) -> None:
    """A slide of two seconds stands into the chunk; for the model it is there from the chunk's start."""
    path = clips.path("slow")
    chunks = planned(path, seconds=5.0, overlap=1.0, sampling=replace(SMALL, fps=0.5)).chunks
    for chunk, result in zip(chunks, decoded(path, chunks), strict=True):
        assert (result.pts_seconds >= chunk.start_seconds).all()
        assert (result.pts_seconds < chunk.stop_seconds).all()
        later = chunk.pts_seconds >= chunk.start_seconds
        assert (result.pts_seconds[later] == chunk.pts_seconds[later]).all()


def test_frames_that_are_gone_are_listed(hole: Path) -> None:
    (chunk,) = planned(hole, seconds=10, sampling=replace(SMALL, fps=25)).chunks
    (result,) = decoded(hole, (chunk,))
    assert result.report.backend == "pyav"
    assert re.match("a packet of the plan is damaged; torchcodec", result.report.fallback_reason or "")
    missing = result.report.missing_pts_seconds
    assert missing
    assert result.report.num_frames + len(missing) == chunk.num_frames
    assert len(result.frames) == len(result.pts_seconds) == result.report.num_frames
    assert sorted([*missing, *result.pts_seconds.tolist()]) == chunk.pts_seconds.tolist()


def test_a_chunk_without_a_frame_fails_and_says_why(clips: ClipFolder) -> None:
    path = clips.path("h264")
    chunk = planned(path).chunks[1]
    elsewhere = replace(
        chunk, pts_seconds=chunk.pts_seconds + 100, frame_indices=chunk.frame_indices + 2500, packet_runs=()
    )
    with pytest.raises(DecodeFailed, match=r"No frame between 1\.2 s and 2\.7 s .*torchcodec counts only 100 frames"):
        decoded(path, (elsewhere,))


@pytest.mark.parametrize("name", ["h264", "mkv", "vp9", "av1", "mpeg4", "ts", "edit_list"])
@pytest.mark.parametrize("seed", range(6))
def test_damage_loses_frames_and_nothing_else(name: str, seed: int, broken_files: BrokenFiles) -> None:
    path = broken_files.damaged(name, seed)
    with suppress(LongtakeError):
        chunk = planned(path, seconds=4.0).chunks[0]
        (result,) = decoded(path, (chunk,))
        assert result.report.num_frames + len(result.report.missing_pts_seconds) == chunk.num_frames


class FakeDecoder:
    """Brings some frames of each chunk, in one shade of grey, and counts its videos."""

    num_opened = 0

    def __init__(self, grey: int, brings: Sequence[int]) -> None:
        self.grey, self.brings, self.is_open = grey, brings, False

    def open_video(self, video: VideoFile) -> DecodingBackend:
        self.num_opened += 1
        self.is_open = True
        return self

    def frames(self, chunk: Chunk) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        for position, index in enumerate(chunk.frame_indices.tolist()):
            if index in self.brings:
                yield position, np.full((64, 64, 3), self.grey, np.uint8)

    def close(self) -> None:
        self.is_open = False


def decoded_by(fakes: dict[str, FakeDecoder], chunk: Chunk) -> DecodedFrames:
    with closing(
        InProcessBackends(Path("unused"), {name: fake.open_video for name, fake in fakes.items()})
    ) as backends:
        decoder = ChunkDecoder(backends, tuple(fakes))
        decoder.decode(chunk)
        return decoder.decode(chunk)


def test_backends_are_asked_until_all_frames_are_there(clips: ClipFolder) -> None:
    chunk = planned(clips.path("h264")).chunks[0]
    indices = chunk.frame_indices.tolist()
    fakes = {
        "few": FakeDecoder(10, indices[1:3]),
        "none": FakeDecoder(20, []),
        "all": FakeDecoder(30, indices),
        "never": FakeDecoder(40, indices),
    }
    result = decoded_by(fakes, chunk)
    assert result.frames[:, 0, 0, 0].tolist() == [30, 10, 10, *[30] * (len(indices) - 3)]
    assert (result.report.backend, result.report.num_frames) == ("few and all", len(indices))
    left = len(indices) - 2
    assert result.report.fallback_reason == f"few left out {left} frames; none left out {left} frames"
    assert [fake.num_opened for fake in fakes.values()] == [1, 1, 1, 0]  # once each, though two chunks were decoded
    assert not any(fake.is_open for fake in fakes.values())


def test_what_no_backend_brings_is_missing(clips: ClipFolder) -> None:
    chunk = planned(clips.path("h264")).chunks[0]
    indices = chunk.frame_indices.tolist()
    result = decoded_by({"one": FakeDecoder(10, indices[:2]), "other": FakeDecoder(20, indices[3:4])}, chunk)
    assert result.frames[:, 0, 0, 0].tolist() == [10, 10, 20]
    assert result.report.num_frames == 3
    assert result.pts_seconds.tolist() == chunk.pts_seconds[[0, 1, 3]].tolist()
    assert result.report.missing_pts_seconds == tuple(chunk.pts_seconds[[2, *range(4, len(indices))]].tolist())


@pytest.mark.parametrize("name", ["pq", "interlaced"])
def test_where_no_backend_can_it_is_told(name: str, clips: ClipFolder) -> None:
    path = clips.path(name)
    (chunk,) = planned(path, seconds=60.0).chunks
    (result,) = decoded(path, (chunk,), "torchcodec")
    assert result.report.untreated == chunk.treatment
    assert result.report.fallback_reason is None
    (raw,) = decoded(path, (untreated(chunk),), "torchcodec")
    assert (result.frames == raw.frames).all()
    assert raw.report.untreated == UNTREATED
