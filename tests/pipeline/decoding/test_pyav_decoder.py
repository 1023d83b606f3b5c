"""Tolerant decoding by PyAV, and the right frames of HDR and interlaced videos."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.clips import TREATED_CLIPS, ClipFolder, number_of, zeroed
from tests.pipeline.decoding.chunks import SMALL, decoded, planned
from tests.pipeline.decoding.treated import ALL, check_treated_numbers


def test_frames_before_and_after_a_hole_are_the_right_ones(hole: Path) -> None:
    (chunk,) = planned(hole, seconds=10, sampling=replace(SMALL, fps=25)).chunks
    (result,) = decoded(hole, (chunk,), "pyav")
    for seconds, picture in zip(result.pts_seconds, result.frames, strict=True):
        number = round(seconds * 25)
        if not 30 <= number < 60:  # up to the hole, and from the next key frame on
            assert number_of(picture) == number


@pytest.mark.parametrize("name", TREATED_CLIPS)
def test_chunks_in_any_order_to_the_last_frame(name: str, clips: ClipFolder) -> None:
    path = clips.path(name)
    chunks = planned(path, seconds=0.8, overlap=0.2, sampling=ALL).chunks
    order = [len(chunks) - 1, 1, *range(len(chunks)), 2]
    shuffled = tuple(chunks[place] for place in order)
    for chunk, result in zip(shuffled, decoded(path, shuffled), strict=True):
        check_treated_numbers(name, chunk, result)


@pytest.mark.parametrize("name", TREATED_CLIPS)
def test_a_frame_is_the_same_whatever_chunk_asks_for_it(name: str, clips: ClipFolder) -> None:
    """A deinterlaced one also depends on the one before it, which may be on the other side of a key frame."""
    path = clips.path(name)
    (whole,) = planned(path, seconds=60.0, sampling=ALL).chunks
    (expected,) = decoded(path, (whole,))
    single = tuple(
        replace(whole, frame_indices=whole.frame_indices[[place]], pts_seconds=whole.pts_seconds[[place]])
        for place in (0, 1, 11, 12, 13, 24, 25, 36, 48, len(whole.frame_indices) - 1)
    )
    for chunk, result in zip(single, decoded(path, single), strict=True):
        assert (result.frames[0] == expected.frames[chunk.frame_indices[0]]).all()


@pytest.mark.parametrize(("name", "start"), [("interlaced", 0.4), ("hlg", 0.2)])
def test_treated_frames_that_are_gone_are_listed(name: str, start: float, clips: ClipFolder, tmp_path: Path) -> None:
    hole = zeroed(clips.path(name), tmp_path / "hole.mp4", start, start + 0.1)
    (chunk,) = planned(hole, seconds=60.0, sampling=ALL).chunks
    (result,) = decoded(hole, (chunk,))
    missing = result.report.missing_pts_seconds
    assert missing
    assert sorted([*missing, *result.pts_seconds.tolist()]) == chunk.pts_seconds.tolist()
    assert result.report.backend == "pyav"
