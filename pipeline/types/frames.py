"""Decoded frames, on their way to the engine."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline.types.videos import NO_TREATMENT, PictureTreatment


@dataclass(frozen=True)
class DecodeReport:
    """How the frames of a chunk were had."""

    num_frames: int
    missing_pts_seconds: tuple[float, ...]
    """Times of frames that were planned and could not be decoded."""
    backend: str
    """Which brought frames; with `and` between them when there were several."""
    fallback_reason: str | None
    """Why the first backend was not the only one; None when it was."""
    decode_seconds: float
    is_damaged: bool = False
    """Whether FFmpeg reported damage over it: it conceals what it can, so that a frame may show what never was."""
    untreated: PictureTreatment = NO_TREATMENT
    """What the frames needed and no backend of the order can do; they are as the video has them."""
    is_reused: bool = False
    """Whether it was decoded for a question before this one."""

    def reused(self) -> DecodeReport:
        return replace(self, decode_seconds=0.0, is_reused=True)


@dataclass(frozen=True, eq=False)
class DecodedFrames:
    """The frames of one chunk, at the model's size."""

    frames: NDArray[np.uint8]
    """(T, H, W, 3) RGB."""
    pts_seconds: NDArray[np.float64]
    """(T,), the times the model is told; a frame already on the screen when its chunk starts has the chunk's start."""
    report: DecodeReport


@dataclass(frozen=True, eq=False)
class VideoSegment:
    """Some seconds of a chunk as the engine takes them: a video of its own, in one prompt with its neighbours."""

    patches: NDArray[np.uint8]
    """(pairs x patch rows x patch columns, 1536): a patch of a pair of frames in each row, in the processor's order."""
    grid: tuple[int, int, int]
    """Pairs of frames, rows and columns of patches."""
    pair_seconds: tuple[float, ...]
    """The time that the model is told for each pair."""
    content_id: str
    """The same for the same pixels: by it the engine knows again what it has seen."""


@dataclass(frozen=True, eq=False)
class PreparedChunk:
    """The frames of a chunk, ready for the engine."""

    segments: tuple[VideoSegment, ...]
    report: DecodeReport
