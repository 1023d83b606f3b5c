"""The plan of an analysis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.types.videos import NO_TREATMENT, PictureTreatment, VideoInfo


@dataclass(frozen=True)
class PacketRun:
    """Consecutive packets of a video, to be decoded together. Ticks are those of the stream's clock."""

    seek_ticks: int
    """Where to seek: the demuxer lands at or before the first packet, which is a key frame."""
    first_pts_ticks: int
    last_pts_ticks: int
    num_packets: int


@dataclass(frozen=True, eq=False)
class Chunk:
    """A planned slice of a video, with the frames to sample."""

    index: int
    start_seconds: float
    stop_seconds: float
    frame_indices: NDArray[np.int64]
    """(T,), in display order, counted from the video's first frame."""
    pts_seconds: NDArray[np.float64]
    """(T,), when each frame appears on the screen; the first may appear before the chunk starts and last into it."""
    clock_offset_seconds: float
    """The container's own time of the video's first frame; `pts_seconds` counts from there."""
    height_px: int
    width_px: int
    packet_runs: tuple[PacketRun, ...] = ()
    """The packets that contain its frames, in order; empty if the video's packets allow no such plan."""
    treatment: PictureTreatment = NO_TREATMENT
    """How to treat its frames; the same for all chunks of a video."""

    @property
    def num_frames(self) -> int:
        return len(self.frame_indices)

    @property
    def frame_bytes(self) -> int:
        return self.num_frames * self.height_px * self.width_px * 3


@dataclass(frozen=True, eq=False)
class ChunkPlan:
    """All chunks of one analysis, and how they differ from the request."""

    video: VideoInfo
    chunks: tuple[Chunk, ...]
    start_seconds: float
    stop_seconds: float
    chunk_duration_seconds: float
    """As planned; shorter than requested if a budget requires it."""
    requested_fps: float
    planned_fps: float
    notices: tuple[str, ...] = ()
    """How the plan differs from the request, in words for the client."""
