"""Decoded frames, on their way to the engine."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.types.videos import NO_TREATMENT, PictureTreatment


@dataclass(frozen=True)
class DecodeReport:
    """How the frames of a chunk were decoded."""

    num_frames: int
    missing_pts_seconds: tuple[float, ...]
    """Times of planned frames that could not be decoded."""
    backend: str
    """The backends that delivered frames, joined by `and`."""
    fallback_reason: str | None
    """Why other backends ran after the first one; None if none did."""
    decode_seconds: float
    is_damaged: bool = False
    """Whether FFmpeg reported damage. It conceals what it can, so a frame may show something that never existed."""
    untreated: PictureTreatment = NO_TREATMENT
    """Treatment that the frames need and no configured backend can apply; they are as the video has them."""
    is_reused: bool = False
    """Whether the frames were decoded for an earlier question."""

    def reused(self) -> DecodeReport:
        return replace(self, decode_seconds=0.0, is_reused=True)


@dataclass(frozen=True, eq=False)
class DecodedFrames:
    """The frames of one chunk, at the model's size."""

    frames: NDArray[np.uint8]
    """(T, H, W, 3) RGB."""
    pts_seconds: NDArray[np.float64]
    """(T,), the times in the prompt; a frame that is on the screen when its chunk starts gets the chunk's start."""
    report: DecodeReport


@dataclass(frozen=True, eq=False)
class VideoSegment:
    """A few seconds of a chunk, as an input of the engine: a video item in one prompt with its neighbours."""

    patches: NDArray[np.uint8]
    """(pairs x patch rows x patch columns, 1536): one patch of a pair of frames per row, in the processor's order."""
    grid: tuple[int, int, int]
    """Pairs of frames, rows and columns of patches."""
    pair_seconds: tuple[float, ...]
    """The time in the prompt for each pair."""
    content_id: str
    """Equal for equal pixels; the engine's caches use it as their key."""


@dataclass(frozen=True, eq=False)
class PreparedChunk:
    """The frames of a chunk, ready for the engine."""

    segments: tuple[VideoSegment, ...]
    report: DecodeReport
