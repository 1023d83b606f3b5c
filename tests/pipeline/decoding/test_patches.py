"""Frames become rows of patches, in segments that know their content."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pipeline.decoding.patches import MOST_SEGMENTS, SEGMENT_PAIRS, pair_seconds, paired, patchify, prepared_chunk
from pipeline.planning.visual_tokens import MAX_FRAMES
from tests.frames import frames_of


def test_a_row_is_one_patch_of_both_frames_of_a_pair() -> None:
    """Rows go through 2x2 patches that the tower merges, then along; values by colour, frame, row and column."""
    frames = frames_of(4, 64, 96).frames
    patches, grid = patchify(frames)
    assert grid == (2, 4, 6)
    assert patches.shape == (2 * 4 * 6, 3 * 2 * 16 * 16)
    row = 0
    for pair in range(2):
        for block_y in range(2):
            for block_x in range(3):
                for y, x in ((0, 0), (0, 1), (1, 0), (1, 1)):
                    top, left = 16 * (2 * block_y + y), 16 * (2 * block_x + x)
                    patch = frames[2 * pair : 2 * pair + 2, top : top + 16, left : left + 16]
                    assert np.array_equal(patches[row], patch.transpose(3, 0, 1, 2).ravel())
                    row += 1


def test_the_last_of_an_odd_number_makes_a_pair_with_itself() -> None:
    decoded = frames_of(3, 32, 32)
    frames, pts_seconds = paired(decoded.frames, decoded.pts_seconds)
    assert np.array_equal(frames, decoded.frames[[0, 1, 2, 2]])
    assert np.array_equal(pts_seconds, decoded.pts_seconds[[0, 1, 2, 2]])
    assert paired(frames, pts_seconds) == (frames, pts_seconds)


def test_a_pairs_time_is_the_mean_of_its_frames_to_the_millisecond() -> None:
    assert pair_seconds(np.array([0.0, 0.5, 1.00049, 2.00051])) == (0.25, pytest.approx(1.5005))


def test_segments_hold_the_chunk_in_order() -> None:
    decoded = frames_of(2 * SEGMENT_PAIRS + 3, 32, 64)
    chunk = prepared_chunk(decoded, "bytes")
    whole, (num_pairs, *_) = patchify(paired(decoded.frames, decoded.pts_seconds)[0])
    assert len(chunk.segments) == 2
    assert np.array_equal(np.concatenate([segment.patches for segment in chunk.segments]), whole)
    assert sum(segment.grid[0] for segment in chunk.segments) == num_pairs
    seconds = [time for segment in chunk.segments for time in segment.pair_seconds]
    assert seconds == sorted(seconds) and len(seconds) == num_pairs
    assert chunk.report == decoded.report


def test_segments_are_few_and_nearly_equal() -> None:
    for num_frames in (2, 31, 32, 33, 34, 120, 500, MAX_FRAMES):
        lengths = [segment.grid[0] for segment in prepared_chunk(frames_of(num_frames, 32, 32), "").segments]
        assert sum(lengths) == -(-num_frames // 2)
        assert max(lengths) <= SEGMENT_PAIRS
        assert max(lengths) - min(lengths) <= 1
        assert len(lengths) <= MOST_SEGMENTS


def test_content_is_known_again_and_other_content_is_not_taken_for_it() -> None:
    decoded = frames_of(70, 32, 64)
    late = replace(decoded, pts_seconds=decoded.pts_seconds + 0.5)
    tall = replace(decoded, frames=np.ascontiguousarray(decoded.frames.transpose(0, 2, 1, 3)))
    damaged = replace(decoded, report=replace(decoded.report, is_damaged=True))
    by_another = replace(decoded, report=replace(decoded.report, backend="pyav"))
    chunks = [prepared_chunk(frames, "bytes") for frames in (decoded, late, tall, damaged, by_another)]
    chunks.append(prepared_chunk(decoded, "other bytes"))
    ids = [segment.content_id for chunk in chunks for segment in chunk.segments]
    assert len(set(ids)) == len(ids)
    again = prepared_chunk(decoded, "bytes")
    assert [segment.content_id for segment in again.segments] == ids[: len(again.segments)]
