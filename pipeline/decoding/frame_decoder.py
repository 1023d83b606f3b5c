"""What a decoding backend is, and how they stand in for each other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch

from pipeline.decoding.resizing import resized_frame
from pipeline.errors import DecodeFailed
from pipeline.types import Chunk, DecodedFrames, DecodeReport

PTS_TOLERANCE_SECONDS = 1e-3
"""A frame further than this from its planned time is another frame. Matroska's clock ticks every millisecond."""


class FrameDecoder(Protocol):
    """One open video. Used by one thread at a time."""

    backend: str

    def frames(self, chunk: Chunk) -> Iterator[tuple[int, torch.Tensor]]:
        """Yields (position in the chunk, (3, H, W) uint8 RGB at the video's size), in order.

        A frame that cannot be decoded is left out. Raises DecodeFailed when nothing more is to be had.
        """
        ...

    def close(self) -> None: ...


class ChunkDecoder:
    """Decodes chunks of one video, keeping its decoders open from chunk to chunk.

    Backends are tried in order. The next one is asked when one fails or leaves a planned frame out; the one that
    brought the most frames is used, and the result says why it was not the first.
    """

    def __init__(self, path: Path, backends: Sequence[Callable[[Path], FrameDecoder]]) -> None:
        self._path = path
        self._backends = backends
        self._open: dict[int, FrameDecoder] = {}

    def decode(self, chunk: Chunk) -> DecodedFrames:
        """The chunk's frames at the size it plans. Raises DecodeFailed when no backend brings a single one."""
        started = time.perf_counter()
        reasons: list[str] = []
        results: list[DecodedFrames] = []
        for position in range(len(self._backends)):
            try:
                results.append(self._decode_with(position, chunk))
            except DecodeFailed as error:
                self._forget(position)
                reasons.append(error.message)
                continue
            report = results[-1].report
            if not report.missing_pts_seconds:
                break
            reasons.append(f"{report.backend} left out {len(report.missing_pts_seconds)} frames")
        best = max(results, key=lambda result: result.report.num_frames, default=None)
        if best is None or not best.report.num_frames:
            raise DecodeFailed(
                f"No frame between {chunk.start_seconds:.1f} s and {chunk.stop_seconds:.1f} s could be decoded "
                f"({'; '.join(reasons)})."
            )
        seconds = time.perf_counter() - started
        report = replace(best.report, fallback_reason="; ".join(reasons) or None, decode_seconds=seconds)
        return replace(best, report=report)

    def close(self) -> None:
        for position in list(self._open):
            self._forget(position)

    def _decode_with(self, position: int, chunk: Chunk) -> DecodedFrames:
        if position not in self._open:
            self._open[position] = self._backends[position](self._path)
        decoder = self._open[position]
        frames = np.empty((chunk.num_frames, chunk.height_px, chunk.width_px, 3), np.uint8)
        decoded: list[int] = []
        for place, frame in decoder.frames(chunk):
            frames[len(decoded)] = resized_frame(frame, chunk.height_px, chunk.width_px)
            decoded.append(place)
        missing = np.setdiff1d(np.arange(chunk.num_frames), decoded)
        return DecodedFrames(
            frames=frames[: len(decoded)],
            pts_seconds=np.maximum(chunk.pts_seconds[decoded], chunk.start_seconds),
            report=DecodeReport(
                num_frames=len(decoded),
                missing_pts_seconds=tuple(chunk.pts_seconds[missing].tolist()),
                backend=decoder.backend,
                fallback_reason=None,
                decode_seconds=0.0,
            ),
        )

    def _forget(self, position: int) -> None:
        decoder = self._open.pop(position, None)
        if decoder is not None:
            decoder.close()
