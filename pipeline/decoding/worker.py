"""The decoding process's side of `isolated_backends`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from cachetools import LRUCache

from pipeline.decoding.backends import InProcessBackends
from pipeline.decoding.chunk_decoder import BackendResult
from pipeline.decoding.ffmpeg_errors import ErrorLog
from pipeline.decoding.isolated_backends import DecodeRequest, mapped_frames
from pipeline.isolation.process import Ask
from pipeline.video.video_files import BlockFile

OPEN_VIDEOS_KEPT = 2
"""Decoders kept open: the next chunk of their video needs no new open, and no new scan by torchcodec."""


_VideoKey = tuple[Path | BlockFile, str]
"""A file and its fingerprint."""


class _OpenVideos(LRUCache[_VideoKey, InProcessBackends]):
    """Closes a video when it evicts it."""

    def popitem(self) -> tuple[_VideoKey, InProcessBackends]:
        key, video = super().popitem()
        video.close()
        return key, video


class DecodeWorker:
    """An `isolation.Handler` that keeps the videos it decoded last open."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        self._errors = ErrorLog()
        self._open = _OpenVideos(OPEN_VIDEOS_KEPT)

    def __call__(self, request: DecodeRequest, memory_fd: int | None, ask: Ask) -> BackendResult:
        assert memory_fd is not None, "frames go through shared memory"
        frames = mapped_frames(memory_fd, request.shape)
        video = self._video(request, ask)
        video.opened(request.backend)
        self._errors.has_errors()  # clear errors of earlier work and of opening: they are not damage in this chunk
        result = video.decode(request.backend, request.chunk, frames, request.rows)
        return replace(result, is_damaged=self._errors.has_errors())

    def _video(self, request: DecodeRequest, ask: Ask) -> InProcessBackends:
        key = request.file, request.fingerprint
        video = self._open.get(key)
        if video is None:
            file = request.file
            video = self._open[key] = InProcessBackends(file.fetching(ask) if isinstance(file, BlockFile) else file)
        return video
