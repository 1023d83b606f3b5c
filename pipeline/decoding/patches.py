"""Convert frames to the vision tower's input: rows of pixels, one for each patch, in segments of a few seconds.

This runs beside the decoder, in numpy, so that the process that feeds the engine touches no pixels. The order is that
of transformers' Qwen3VLVideoProcessor. The values are those of the frames: the engine normalises them on its device.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from pipeline.planning.visual_tokens import MAX_FRAMES, PATCH_SIZE_PX, SPATIAL_MERGE, TEMPORAL_PATCH
from pipeline.types import DecodedFrames, PreparedChunk, VideoSegment

PATCH_VALUES = 3 * TEMPORAL_PATCH * PATCH_SIZE_PX**2
"""Values in a row: one patch of both frames of a pair, in three colours."""
SEGMENT_PAIRS = 16
"""The most pairs in a segment: 16 s at two frames per second. The tower encodes each pair separately, so segments do
not change the tokens of a chunk. The engine distributes segments to its GPUs, and starts to prefill with the first."""
MOST_SEGMENTS = -(-MAX_FRAMES // (TEMPORAL_PATCH * SEGMENT_PAIRS))
CLOCK_TICKS_PER_SECOND = 1000
"""Resolution of the times in the prompt: that of Matroska."""


def prepared_chunk(decoded: DecodedFrames, fingerprint: str) -> PreparedChunk:
    """A chunk's frames, cut into segments of nearly equal length. `fingerprint` is that of the video."""
    frames, pts_seconds = paired(decoded.frames, decoded.pts_seconds)
    num_pairs = len(frames) // TEMPORAL_PATCH
    segments = []
    for pairs in np.array_split(np.arange(num_pairs), -(-num_pairs // SEGMENT_PAIRS)):
        shown = slice(TEMPORAL_PATCH * pairs[0], TEMPORAL_PATCH * (pairs[-1] + 1))
        patches, grid = patchify(frames[shown])
        how = decoded.report.backend, decoded.report.is_damaged
        content_id = _digest(fingerprint, pts_seconds[shown], frames.shape[1:3], how)
        segments.append(VideoSegment(patches, grid, pair_seconds(pts_seconds[shown]), content_id))
    return PreparedChunk(tuple(segments), decoded.report)


def paired(
    frames: NDArray[np.uint8], pts_seconds: NDArray[np.float64]
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """An even number of frames: an odd last frame is repeated, as in Qwen's own processor."""
    if not len(frames) % TEMPORAL_PATCH:
        return frames, pts_seconds
    return np.concatenate([frames, frames[-1:]]), np.concatenate([pts_seconds, pts_seconds[-1:]])


def patchify(frames: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], tuple[int, int, int]]:
    """Turn (T, H, W, 3), T even, into (patches, PATCH_VALUES) in the processor's order, and (pairs, patch rows, patch
    columns). 69 MB take 29 ms.
    """
    num_frames, height, width, channels = frames.shape
    pairs, rows, columns = num_frames // TEMPORAL_PATCH, height // PATCH_SIZE_PX, width // PATCH_SIZE_PX
    blocks = frames.reshape(
        *(pairs, TEMPORAL_PATCH, rows // SPATIAL_MERGE, SPATIAL_MERGE, PATCH_SIZE_PX),
        *(columns // SPATIAL_MERGE, SPATIAL_MERGE, PATCH_SIZE_PX, channels),
    )
    ordered = blocks.transpose(0, 2, 5, 3, 6, 8, 1, 4, 7)
    return ordered.reshape(pairs * rows * columns, -1), (pairs, rows, columns)


def pair_seconds(pts_seconds: NDArray[np.float64]) -> tuple[float, ...]:
    """The time in the prompt of each pair of frames (T,), T even: the mean of its two times, as in Qwen's processor."""
    seconds = np.round(pts_seconds * CLOCK_TICKS_PER_SECOND) / CLOCK_TICKS_PER_SECOND
    return tuple(float(first + second) / 2 for first, second in seconds.reshape(-1, TEMPORAL_PATCH))


def _digest(fingerprint: str, pts_seconds: NDArray[np.float64], size_px: tuple[int, ...], how: tuple[str, bool]) -> str:
    """A digest of everything that determines the pixels, without reading them."""
    digest = hashlib.blake2b(repr((fingerprint, size_px, how)).encode(), digest_size=16)
    digest.update(pts_seconds.tobytes())
    return digest.hexdigest()
