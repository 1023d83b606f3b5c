"""Sizes against qwen_vl_utils itself, where the two are meant to agree."""

import math

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from qwen_vl_utils import vision_process as qwen

from pipeline.errors import InvalidRequest
from pipeline.planning.visual_tokens import (
    DEFAULT_MAX_PIXELS,
    DEFAULT_MIN_PIXELS,
    DEFAULT_TOTAL_PIXELS,
    FACTOR_PX,
    TIMESTAMP_TOKENS,
    chunk_token_bound,
    frame_pair_tokens,
    frame_size,
    given_frame_size,
    smart_resize,
)

sides = st.integers(1, 8192)
areas = st.integers(FACTOR_PX**2, DEFAULT_MAX_PIXELS)


def fetch_video_size(height: int, width: int, num_frames: int, **asked: int) -> tuple[int, int]:
    """The lines of fetch_video between its reader and its resize."""
    min_pixels = asked["min_pixels"]
    limit = min(qwen.VIDEO_MAX_TOKEN_NUM * FACTOR_PX**2, asked["total_pixels"] / num_frames * qwen.FRAME_FACTOR)
    max_pixels = min(asked["max_pixels"], max(limit, int(min_pixels * 1.05)))
    size: tuple[int, int] = qwen.smart_resize(height, width, FACTOR_PX, min_pixels, max_pixels)
    return size


def test_defaults_are_qwens() -> None:
    assert DEFAULT_MIN_PIXELS == qwen.VIDEO_MIN_TOKEN_NUM * 32 * 32
    assert DEFAULT_MAX_PIXELS == qwen.VIDEO_MAX_TOKEN_NUM * 32 * 32
    assert int(qwen.MODEL_SEQ_LEN * 32 * 32 * 0.9) == DEFAULT_TOTAL_PIXELS


@settings(max_examples=1000)
@given(sides, sides, st.tuples(areas, areas))
@example(720, 1280, (DEFAULT_MIN_PIXELS, DEFAULT_MAX_PIXELS))
def test_smart_resize_is_qwens(height: int, width: int, bounds: tuple[int, int]) -> None:
    assume(max(height, width) <= 200 * min(height, width))
    limits = {"min_pixels": min(bounds), "max_pixels": max(bounds)}
    expected = qwen.smart_resize(height, width, FACTOR_PX, **limits)
    assume(0 not in expected)
    assert smart_resize(height, width, **limits) == expected


@settings(max_examples=1000)
@given(sides, sides, st.integers(1, 768), st.tuples(areas, areas), st.integers(2 * FACTOR_PX**2, 10**10))
@example(1080, 1920, 768, (DEFAULT_MIN_PIXELS, DEFAULT_MAX_PIXELS), DEFAULT_TOTAL_PIXELS)
def test_frame_size_is_fetch_videos(
    height: int, width: int, num_frames: int, bounds: tuple[int, int], total_pixels: int
) -> None:
    assume(max(height, width) <= 200 * min(height, width))
    asked = {"min_pixels": min(bounds), "max_pixels": max(bounds), "total_pixels": total_pixels}
    expected = fetch_video_size(height, width, num_frames, **asked)
    assume(0 not in expected)
    assert frame_size(height, width, num_frames, **asked) == expected


@settings(max_examples=1000)
@given(sides, sides)
def test_a_size_that_was_asked_for_is_fetch_videos(height: int, width: int) -> None:
    assume(max(height, width) <= 200 * min(height, width))
    expected = qwen.smart_resize(height, width, factor=FACTOR_PX)
    assume(0 not in expected)
    assert given_frame_size(height, width) == expected


def test_a_side_never_vanishes() -> None:
    """fetch_video makes this strip 0 pixels high, and then fails in its resize."""
    assert qwen.smart_resize(20, 3900, FACTOR_PX, 32**2, 32**2 * 20) == (0, 1984)
    assert smart_resize(20, 3900, min_pixels=32**2, max_pixels=32**2 * 20) == (32, 1984)


@pytest.mark.parametrize(("height", "width"), [(10, 2001), (2001, 10)])
def test_a_strip_is_refused(height: int, width: int) -> None:
    with pytest.raises(InvalidRequest, match=f"The video is {width}x{height}: its aspect ratio 200 is above 200"):
        frame_size(
            height,
            width,
            2,
            min_pixels=DEFAULT_MIN_PIXELS,
            max_pixels=DEFAULT_MAX_PIXELS,
            total_pixels=DEFAULT_TOTAL_PIXELS,
        )


def test_contradicting_bounds_name_the_field() -> None:
    with pytest.raises(InvalidRequest, match=r"max_pixels \(1024\) is below min_pixels \(2048\)") as caught:
        smart_resize(100, 100, min_pixels=2048, max_pixels=1024)
    assert caught.value.param == "max_pixels"


def test_tokens_of_a_chunk() -> None:
    assert frame_pair_tokens(640, 1152) == 20 * 36
    # Two pairs: the odd frame has one to itself.
    assert chunk_token_bound(3, 640, 1152) == 2 * (720 + TIMESTAMP_TOKENS)


@given(st.integers(0, 768), st.integers(1, 60), st.integers(1, 60))
def test_tokens_never_fall_with_more_frames(num_frames: int, rows: int, columns: int) -> None:
    height, width = rows * FACTOR_PX, columns * FACTOR_PX
    bound = chunk_token_bound(num_frames, height, width)
    assert bound >= math.ceil(num_frames / 2) * rows * columns
    assert chunk_token_bound(num_frames + 1, height, width) >= bound
