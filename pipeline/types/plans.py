"""The plan of an analysis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.types.videos import NO_TREATMENT, PictureTreatment, VideoInfo


@dataclass(frozen=True)
class PacketRun:
    """Packets of a video that a decoder is fed without a break. Ticks are those of the stream's clock."""

    seek_ticks: int
    """What to ask the demuxer for, to be led to the first one, which is a key frame, or before it."""
    first_pts_ticks: int
    last_pts_ticks: int
    num_packets: int


@dataclass(frozen=True, eq=False)
class Chunk:
    """A planned slice of a video, with the frames that will be looked at."""

    index: int
    start_seconds: float
    stop_seconds: float
    frame_indices: NDArray[np.int64]
    """(T,), in display order, counted from the video's first frame."""
    pts_seconds: NDArray[np.float64]
    """(T,), when the frames come on the screen; the first may do so before the chunk starts, and stand into it."""
    clock_offset_seconds: float
    """The container's own time of the video's first frame; `pts_seconds` counts from there."""
    height_px: int
    width_px: int
    packet_runs: tuple[PacketRun, ...] = ()
    """The packets from which its frames can be had, in order; empty where the video's packets allow no such plan."""
    treatment: PictureTreatment = NO_TREATMENT
    """What its frames need; that of all chunks of a video."""

    @property
    def num_frames(self) -> int:
        return len(self.frame_indices)

    @property
    def frame_bytes(self) -> int:
        return self.num_frames * self.height_px * self.width_px * 3


@dataclass(frozen=True, eq=False)
class ChunkPlan:
    """All chunks of one analysis and what had to be given up to fit them in."""

    video: VideoInfo
    chunks: tuple[Chunk, ...]
    start_seconds: float
    stop_seconds: float
    chunk_duration_seconds: float
    """As planned; shorter than asked where a budget forced it."""
    requested_fps: float
    planned_fps: float
    notices: tuple[str, ...] = ()
    """What differs from the request, in words for the client."""
