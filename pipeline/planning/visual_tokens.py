"""The size of frames for Qwen3-VL, and their cost in tokens.

The rules are those of `qwen_vl_utils.fetch_video` 0.0.14 with `image_patch_size=16`.
"""

from __future__ import annotations

import math

from pipeline.errors import InvalidRequest

PATCH_SIZE_PX = 16
SPATIAL_MERGE = 2
TEMPORAL_PATCH = 2
FACTOR_PX = PATCH_SIZE_PX * SPATIAL_MERGE
"""Both sides of a frame are multiples of this; one token covers a square of this side in a pair of frames."""

MIN_FRAME_TOKENS = 128
MAX_FRAME_TOKENS = 768
MAX_ASPECT_RATIO = 200

DEFAULT_MIN_PIXELS = MIN_FRAME_TOKENS * FACTOR_PX**2
DEFAULT_MAX_PIXELS = MAX_FRAME_TOKENS * FACTOR_PX**2
IMAGE_MIN_PIXELS, IMAGE_MAX_PIXELS = 4 * FACTOR_PX**2, 16384 * FACTOR_PX**2
DEFAULT_TOTAL_PIXELS = int(128_000 * FACTOR_PX**2 * 0.9)

MAX_FRAMES = 768
"""The most frames that fetch_video takes, and the most in a chunk."""
DEFAULT_MIN_FRAMES = 4
"""The fewest frames that fetch_video takes, if the range has as many."""

TIMESTAMP_TOKENS = len("<86400.0 seconds>") + 2
"""Upper bound for the time before a pair of frames and its two vision markers: a byte-level BPE makes at most one
token of each byte. Qwen's own tokenizer needs 9 to 11."""


def frame_size(
    height_px: int, width_px: int, num_frames: int, *, min_pixels: int, max_pixels: int, total_pixels: int
) -> tuple[int, int]:
    """The (height, width) in pixels of each of `num_frames` frames of one chunk.

    Raises InvalidRequest if no size satisfies the bounds.
    """
    budget_px = min(DEFAULT_MAX_PIXELS, total_pixels / num_frames * TEMPORAL_PATCH)
    # fetch_video keeps the budget at least 5 % above min_pixels, whatever total_pixels is.
    ceiling_px = max(budget_px, int(min_pixels * 1.05))
    return smart_resize(height_px, width_px, min_pixels=min_pixels, max_pixels=min(max_pixels, ceiling_px))


def given_frame_size(height_px: int, width_px: int) -> tuple[int, int]:
    """The (height, width) in pixels of frames for which a client requests a size, of any aspect ratio.

    As in fetch_video, the limits are those of an image, 4 to 16384 tokens, and not those of a video.
    """
    return smart_resize(height_px, width_px, min_pixels=IMAGE_MIN_PIXELS, max_pixels=IMAGE_MAX_PIXELS)


def smart_resize(height_px: int, width_px: int, *, min_pixels: int, max_pixels: float) -> tuple[int, int]:
    """The nearest size in multiples of 32 whose area is within the bounds, with nearly the same aspect ratio."""
    if max_pixels < min_pixels:
        raise InvalidRequest(
            f"max_pixels ({int(max_pixels)}) is below min_pixels ({min_pixels}); lower min_pixels or raise max_pixels.",
            param="max_pixels",
        )
    ratio = max(height_px, width_px) / min(height_px, width_px)
    if ratio > MAX_ASPECT_RATIO:
        raise InvalidRequest(
            f"The video is {width_px}x{height_px}: its aspect ratio {ratio:.0f} is above {MAX_ASPECT_RATIO}, "
            "the most that Qwen3-VL takes. Crop or pad it.",
        )
    height = max(FACTOR_PX, round(height_px / FACTOR_PX) * FACTOR_PX)
    width = max(FACTOR_PX, round(width_px / FACTOR_PX) * FACTOR_PX)
    if height * width > max_pixels:
        shrink = math.sqrt(height_px * width_px / max_pixels)
        # fetch_video lets a side of a very long frame fall to zero here; one row of tokens is the minimum.
        return _floor(height_px / shrink) or FACTOR_PX, _floor(width_px / shrink) or FACTOR_PX
    if height * width < min_pixels:
        grow = math.sqrt(min_pixels / (height_px * width_px))
        return _ceil(height_px * grow), _ceil(width_px * grow)
    return height, width


def frame_pair_tokens(height_px: int, width_px: int) -> int:
    """Vision tokens of one pair of frames at the model's size, without its timestamp."""
    return (height_px // FACTOR_PX) * (width_px // FACTOR_PX)


def chunk_token_bound(num_frames: int, height_px: int, width_px: int) -> int:
    """Upper bound for the tokens of a chunk's pairs of frames, with their times. An odd last frame makes a pair."""
    pairs = math.ceil(num_frames / TEMPORAL_PATCH)
    return pairs * (frame_pair_tokens(height_px, width_px) + TIMESTAMP_TOKENS)


def _floor(pixels: float) -> int:
    return math.floor(pixels / FACTOR_PX) * FACTOR_PX


def _ceil(pixels: float) -> int:
    return math.ceil(pixels / FACTOR_PX) * FACTOR_PX
