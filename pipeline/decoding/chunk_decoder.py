"""Decode a chunk by a chain of backends, each of which fills in for the ones before it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DecodeFailed
from pipeline.types import NO_TREATMENT, Chunk, DecodedFrames, DecodeReport

PTS_TOLERANCE_SECONDS = 1e-3
"""A frame further than this from its planned time is another frame. Matroska's clock ticks every millisecond."""


PLANNED = "planned"
"""The backend that decodes by a chunk's packet runs."""
TORCHCODEC_CUDA = "torchcodec_cuda"
"""The backend that decodes on a GPU, if the FrameDecoder deployment has one."""
TREATING = frozenset({"pyav"})
"""The backends that apply a chunk's `treatment`."""


class DecodingBackend(Protocol):
    """One open video. Used by one thread at a time."""

    def frames(self, chunk: Chunk) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        """Yield (position in the chunk, (H, W, 3) RGB at the video's size), in order.

        Skips frames that cannot be decoded. Raises DecodeFailed if it can decode no further frame.
        """
        ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class BackendResult:
    """The outcome of one backend's work on a chunk."""

    positions: list[int]
    """Positions of the decoded frames."""
    is_damaged: bool
    """Whether FFmpeg reported an error, and may have concealed damage. Detected in isolated processes only."""


class Backends(Protocol):
    """Runs backends over one video: in this process, or in one that may die."""

    def new_frames(self, shape: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        """Allocate memory that `decode` can write to."""
        ...

    def decode(self, backend: str, chunk: Chunk, frames: NDArray[np.uint8], rows: NDArray[np.int64]) -> BackendResult:
        """Write the chunk's frames (T,) into `rows` (T,) of `frames`.

        Raises DecodeFailed, with a message that names the backend, if no frame could be decoded.
        """
        ...


class ChunkDecoder:
    """Decodes chunks of one video.

    Backends run in order: each next one decodes the frames that are still missing. The result says which backends
    delivered frames, and why the first was not enough.
    """

    def __init__(self, backends: Backends, order: Sequence[str]) -> None:
        self._backends = backends
        self._order = order

    def decode(self, chunk: Chunk) -> DecodedFrames:
        """The chunk's frames at the planned size. Raises DecodeFailed if no backend decodes a single one."""
        started = time.perf_counter()
        frames = self._backends.new_frames((chunk.num_frames, chunk.height_px, chunk.width_px, 3))
        missing = np.arange(chunk.num_frames)
        used: list[str] = []
        reasons: list[str] = []
        is_damaged = False
        for backend in self._order_for(chunk):
            try:
                result = self._backends.decode(backend, _part(chunk, missing), frames, missing)
            except DecodeFailed as error:
                reasons.append(error.message)
                continue
            if result.positions:
                used.append(backend)
                is_damaged |= result.is_damaged
                missing = np.delete(missing, result.positions)
            if not len(missing):
                break
            reasons.append(f"{backend} left out {len(missing)} frames")
        if not used:
            raise DecodeFailed(
                f"No frame between {chunk.start_seconds:.1f} s and {chunk.stop_seconds:.1f} s could be decoded "
                f"({'; '.join(reasons)})."
            )
        decoded = np.setdiff1d(np.arange(chunk.num_frames), missing)
        return DecodedFrames(
            frames=frames if not len(missing) else frames[decoded],
            pts_seconds=np.maximum(chunk.pts_seconds[decoded], chunk.start_seconds),
            report=DecodeReport(
                num_frames=len(decoded),
                missing_pts_seconds=tuple(chunk.pts_seconds[missing].tolist()),
                backend=" and ".join(used),
                fallback_reason="; ".join(reasons) or None,
                is_damaged=is_damaged,
                untreated=NO_TREATMENT if TREATING.intersection(self._order) else chunk.treatment,
                decode_seconds=time.perf_counter() - started,
            ),
        )

    def _order_for(self, chunk: Chunk) -> Sequence[str]:
        """The configured backends that apply to `chunk`.

        Without packet runs, the planned backend is skipped. If the chunk needs treatment, only backends that apply it
        run; if none is configured, the pictures stay untreated.
        """
        treating = [backend for backend in self._order if backend in TREATING]
        if chunk.treatment and treating:
            return treating
        if chunk.packet_runs or len(self._order) == 1:
            return self._order
        return [backend for backend in self._order if backend != PLANNED]


def _part(chunk: Chunk, positions: NDArray[np.int64]) -> Chunk:
    """The chunk, reduced to the frames at `positions`."""
    return replace(chunk, frame_indices=chunk.frame_indices[positions], pts_seconds=chunk.pts_seconds[positions])
