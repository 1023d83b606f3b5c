"""Which frames of a chunk the model is shown.

At a constant frame rate the choice is that of `qwen_vl_utils.fetch_video` 0.0.14. It differs on purpose where frames
come at irregular times: fetch_video spaces indices evenly, which there is not evenly in time; here the times are
spaced evenly, and a frame that stands on the screen over several of them is shown once.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.visual_tokens import TEMPORAL_PATCH


def frames_for_fps(
    num_source_frames: int, duration_seconds: float, fps: float, max_frames: int, min_frames: int
) -> int:
    """How many of `num_source_frames` frames to look at: even, at least `min_frames` where there are as many, at most
    `max_frames`.

    fetch_video's `smart_nframes`, with `duration_seconds` = num_source_frames / source fps. A range of one frame,
    which it refuses, gives 1 here.
    """
    bounded = min(max(duration_seconds * fps, ceil_even(min_frames)), max_frames, num_source_frames)
    return floor_even(int(bounded)) or min(num_source_frames, TEMPORAL_PATCH)


def sample_indices(first: int, last: int, num_frames: int) -> NDArray[np.int64]:
    """`num_frames` indices from `first` to `last`, both included, evenly spaced: shape (num_frames,).

    torch.linspace in float32 and rounding half to even, as fetch_video does; numpy's own linspace in float64 picks
    other frames (3 of 768 in an hour of video).
    """
    spaced = torch.linspace(first, last, num_frames).round().long().numpy()
    chosen: NDArray[np.int64] = np.clip(spaced, first, last)
    return chosen


def sample_indices_in_time(
    pts_seconds: NDArray[np.float64], first: int, last: int, num_frames: int
) -> NDArray[np.int64]:
    """Indices of the frames on the screen at `num_frames` evenly spaced times; at most that many, each once."""
    times = np.linspace(pts_seconds[first], pts_seconds[last], num_frames)
    shown = np.searchsorted(pts_seconds, times, side="right") - 1
    chosen: NDArray[np.int64] = np.unique(np.clip(shown, first, last)).astype(np.int64)
    return chosen


def floor_even(count: int) -> int:
    """The model looks at frames in pairs."""
    return count // TEMPORAL_PATCH * TEMPORAL_PATCH


def ceil_even(count: int) -> int:
    return -(-count // TEMPORAL_PATCH) * TEMPORAL_PATCH
