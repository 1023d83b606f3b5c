"""The opt-in backend OpenCV, opened over one video."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.decoding.opencv_decoder import OpencvDecoder
from pipeline.errors import DecodeFailed
from pipeline.types import Chunk
from pipeline.video.video_files import BlockFile
from tests.clips import BrokenFiles, ClipFolder, number_of
from tests.pipeline.decoding.chunks import planned


def numbers_of(decoder: OpencvDecoder, chunk: Chunk) -> list[tuple[int, int]]:
    """(place in the chunk, number that the frame shows), as they come."""
    return [(place, number_of(frame)) for place, frame in decoder.frames(chunk)]


@pytest.mark.parametrize("name", ["h264", "mkv", "vp9"])
def test_frames_come_in_order_at_the_videos_size(name: str, clips: ClipFolder) -> None:
    chunk = planned(clips.path(name)).chunks[1]
    with closing(OpencvDecoder(clips.path(name))) as decoder:
        assert numbers_of(decoder, chunk) == list(enumerate(chunk.frame_indices.tolist()))
        (_, frame), *_ = decoder.frames(chunk)
    assert frame.shape == (128, 192, 3)
    assert frame.dtype == np.uint8


def test_an_open_decoder_takes_an_earlier_chunk(clips: ClipFolder) -> None:
    first, *_, last = planned(clips.path("h264")).chunks
    with closing(OpencvDecoder(clips.path("h264"))) as decoder:
        for chunk in (last, first, last):
            assert numbers_of(decoder, chunk) == list(enumerate(chunk.frame_indices.tolist()))


def test_a_video_in_blocks_is_refused(tmp_path: Path) -> None:
    """It is opened by path, and would read blocks that are not there as zeros."""
    blocks = BlockFile(tmp_path / "blocks", 1000).fetching(lambda wanted: None)
    with pytest.raises(DecodeFailed, match="OpenCV reads only whole files"):
        OpencvDecoder(blocks)


def test_a_playlist_under_a_videos_name_is_refused(broken_files: BrokenFiles) -> None:
    """By its path FFmpeg would follow it."""
    with pytest.raises(DecodeFailed, match="OpenCV reads only videos"):
        OpencvDecoder(broken_files.playlist())


def test_a_time_that_no_frame_has_is_passed_by(clips: ClipFolder) -> None:
    chunk = planned(clips.path("h264")).chunks[0]
    times = chunk.pts_seconds.copy()
    times[1] += 0.02
    with closing(OpencvDecoder(clips.path("h264"))) as decoder:
        places = [place for place, _ in decoder.frames(replace(chunk, pts_seconds=times))]
    assert places == [0, *range(2, chunk.num_frames)]


def test_a_clock_that_starts_late_is_refused(clips: ClipFolder) -> None:
    with pytest.raises(DecodeFailed, match="counts the video's time in another way"):
        OpencvDecoder(clips.path("mpeg4_b"))
