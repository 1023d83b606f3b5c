"""Probe a video in a process that may die: a file may be hostile from its first byte."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from uuid import uuid4

from pipeline.config import VideoLimits
from pipeline.errors import UnreadableVideo
from pipeline.isolation.process import Ask, IsolatedProcess, WorkCrashed, WorkLimits, WorkLost
from pipeline.video.probing import ProbedVideo, probe
from pipeline.video.video_files import BlockFile, FetchRange

_LEAST_CPU_SECONDS, _MOST_CPU_SECONDS = 8.0, 120.0
_CPU_SECONDS_PER_BYTE = 100e-9
"""A day of tiny pictures, 2.6 million of them in 95 MB, takes 5 s."""
_LEAST_MEMORY_BYTES = 1024**3
_MEMORY_BYTES_PER_PIXEL = 24
"""Several buffers of the one picture that is decoded."""


@dataclass(frozen=True)
class ProbeRequest:
    """The arguments of `probe`."""

    file: Path | BlockFile
    fingerprint: str
    limits: VideoLimits


class ProbeWorker:
    """An `isolation.Handler`."""

    def __call__(self, request: ProbeRequest, memory_fd: int | None, ask: Ask) -> ProbedVideo:
        file, is_partial = request.file, isinstance(request.file, BlockFile)
        video = file.fetching(ask) if isinstance(file, BlockFile) else file
        return probe(video, fingerprint=request.fingerprint, limits=request.limits, skims=is_partial)


class IsolatedProbe:
    """`probe` for many threads, with a process for each concurrent probe."""

    def __init__(self) -> None:
        self._idle: SimpleQueue[IsolatedProcess] = SimpleQueue()
        self._group = uuid4().hex

    def __call__(
        self,
        file: Path | BlockFile,
        *,
        size_bytes: int,
        fingerprint: str,
        limits: VideoLimits,
        fetch: FetchRange | None = None,
    ) -> ProbedVideo:
        """Probe `file`. `fetch` fetches missing blocks of a `BlockFile`.

        Raises what `probe` and `fetch` raise, and UnreadableVideo for a file that crashes its process or never ends.
        """
        request = ProbeRequest(file, fingerprint, limits)
        seconds = min(_MOST_CPU_SECONDS, _LEAST_CPU_SECONDS + size_bytes * _CPU_SECONDS_PER_BYTE)
        work_limits = WorkLimits(seconds, _LEAST_MEMORY_BYTES + limits.max_frame_pixels * _MEMORY_BYTES_PER_PIXEL)
        process = self._idle_process()
        try:
            try:
                video: ProbedVideo = process.call(request, work_limits, serve=fetch)
            except WorkCrashed:  # the file need not be the cause
                video = process.call(request, work_limits, serve=fetch)
        except WorkLost as error:
            raise UnreadableVideo(
                f"The video cannot be read: FFmpeg {error} over it. It is damaged or malicious; re-encode it."
            ) from error
        finally:
            self._idle.put(process)
        return video

    def close(self) -> None:
        while not self._idle.empty():
            self._idle.get().close()

    def _idle_process(self) -> IsolatedProcess:
        try:
            return self._idle.get_nowait()
        except Empty:
            return IsolatedProcess("pipeline.video.isolated_probing:ProbeWorker", self._group)
