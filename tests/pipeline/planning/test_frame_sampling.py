"""Counts and indices against qwen_vl_utils itself, where the two are meant to agree."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from qwen_vl_utils import vision_process as qwen

from pipeline.planning.frame_sampling import floor_even, frames_for_fps, sample_indices, sample_indices_in_time

source_rates = st.one_of(st.sampled_from([12.5, 24000 / 1001, 24.0, 25.0, 30000 / 1001, 30.0, 60.0]), st.floats(1, 240))


@settings(max_examples=1000)
@given(
    st.integers(2, 500_000),
    source_rates,
    st.floats(0.01, 60),
    st.integers(1, 384).map(lambda pairs: 2 * pairs),
    st.integers(2, 1000),
)
@example(90_000, 25.0, 2.0, 768, 4)
@example(3, 25.0, 2.0, 768, 4)
def test_count_is_smart_nframes(
    num_frames: int, source_fps: float, fps: float, max_frames: int, min_frames: int
) -> None:
    asked = {"fps": fps, "max_frames": max_frames, "min_frames": min_frames}
    expected = qwen.smart_nframes(asked, total_frames=num_frames, video_fps=source_fps)
    assert frames_for_fps(num_frames, num_frames / source_fps, fps, max_frames, min_frames) == expected


@given(st.integers(1, 10_000), st.floats(0, 1e6), st.floats(1e-6, 60), st.integers(2, 768))
def test_count_is_one_that_the_model_takes(num_frames: int, seconds: float, fps: float, max_frames: int) -> None:
    count = frames_for_fps(num_frames, seconds, fps, max_frames, 4)
    assert 1 <= count <= min(num_frames, max_frames)
    assert count % 2 == 0 or num_frames == 1


@settings(max_examples=1000)
@given(st.integers(0, 2_000_000), st.integers(0, 200_000), st.integers(1, 768))
@example(0, 107_999, 768)
def test_indices_are_fetch_videos(first: int, length: int, num_frames: int) -> None:
    assume(num_frames <= length + 1)
    last = first + length
    chosen = sample_indices(first, last, num_frames)
    assert chosen.tolist() == torch.linspace(first, last, num_frames).round().long().tolist()
    assert chosen.dtype == np.int64


@settings(max_examples=1000)
@given(
    st.integers(2, 20_000),
    source_rates,
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1),
    st.floats(0.1, 10),
)
def test_a_range_of_seconds_has_fetch_videos_frames(
    num_frames: int, source_fps: float, start_share: float, end_share: float, fps: float
) -> None:
    """The same frames for `video_start` and `video_end`, which lie between frames here: at a frame, the end differs on
    purpose, since our ranges are half-open."""
    start, end = (share * num_frames / source_fps for share in sorted((start_share, end_share)))
    assume(all(abs(x * source_fps - round(x * source_fps)) > 1e-3 for x in (start, end)))
    first, last = math.ceil(start * source_fps), math.floor(end * source_fps)
    assume(last - first >= 1)
    asked = {"video_start": start, "video_end": end, "fps": fps}
    expected_first, expected_last, length = qwen.calculate_video_frame_range(asked, num_frames, source_fps)
    count = qwen.smart_nframes({"fps": fps}, total_frames=length, video_fps=source_fps)
    pts = np.arange(num_frames) / source_fps
    ours = int(np.searchsorted(pts, start)), int(np.searchsorted(pts, end)) - 1
    assert ours == (expected_first, expected_last)
    assert frames_for_fps(length, length / source_fps, fps, 768, 4) == count
    assert (
        sample_indices(*ours, count).tolist()
        == torch.linspace(expected_first, expected_last, count).round().long().tolist()
    )


def test_float32_is_on_purpose() -> None:
    """In an hour of video, float64 would pick other frames than fetch_video."""
    other = np.linspace(0, 107_999, 768).round().astype(np.int64)
    assert (sample_indices(0, 107_999, 768) != other).any()


def test_very_long_videos_stay_inside_their_range() -> None:
    """float32 alone ends one frame behind the last one: 20 000 003 is not among its numbers."""
    assert torch.linspace(0, 20_000_003, 768).round().long()[-1] > 20_000_003
    assert sample_indices(0, 20_000_003, 768)[-1] == 20_000_003


@st.composite
def irregular_times(draw: st.DrawFn) -> np.ndarray:
    gaps = draw(st.lists(st.sampled_from([0.001, 0.033, 0.04, 0.5, 7.0]), max_size=200))
    return np.concatenate([[0.0], np.cumsum(gaps)])


@given(irregular_times(), st.data())
def test_irregular_frames_are_chosen_by_time(pts: np.ndarray, data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(pts) - 1))
    last = data.draw(st.integers(first, len(pts) - 1))
    num_frames = data.draw(st.integers(1, 300))
    chosen = sample_indices_in_time(pts, first, last, num_frames)
    assert 1 <= len(chosen) <= num_frames
    assert (np.diff(chosen) > 0).all()
    assert chosen[0] == first
    assert chosen[-1] <= last
    # No time is further from the frame standing at it than the spacing asked for, unless the frame stands that long.
    spacing = (pts[last] - pts[first]) / max(1, num_frames - 1)
    for index, following in zip(chosen, [*chosen[1:], last + 1], strict=True):
        passed_over = pts[index + 1 : following]
        assert len(passed_over) == 0 or np.ptp(passed_over) <= spacing + 1e-9 or num_frames == 1


def test_a_frame_that_stands_long_is_shown_once() -> None:
    pts = np.array([0.0, 1.0, 10.0, 10.1, 10.2])
    assert sample_indices_in_time(pts, 0, 4, 6).tolist() == [0, 1, 4]


@pytest.mark.parametrize(("count", "even"), [(0, 0), (1, 0), (2, 2), (7, 6)])
def test_floor_even(count: int, even: int) -> None:
    assert floor_even(count) == even
