"""The decoding process's own side."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path

import torch

from pipeline.decoding.backends import InProcessBackends
from pipeline.decoding.chunk_decoder import BackendResult
from pipeline.decoding.ffmpeg_errors import ErrorLog
from pipeline.decoding.isolated_backends import DecodeRequest, mapped_frames
from pipeline.isolation.process import Ask
from pipeline.video.video_files import BlockFile

OPEN_VIDEOS_KEPT = 2
"""An open decoder spares the next chunk of its video the opening, and torchcodec's scan of the file."""


class DecodeWorker:
    """An `isolation.Handler` that keeps open the videos which it decoded last."""

    def __init__(self) -> None:
        torch.set_num_threads(1)
        self._errors = ErrorLog()
        self._open: OrderedDict[tuple[Path | BlockFile, str], InProcessBackends] = OrderedDict()

    def __call__(self, request: DecodeRequest, memory_fd: int | None, ask: Ask) -> BackendResult:
        assert memory_fd is not None, "frames go through shared memory"
        frames = mapped_frames(memory_fd, request.shape)
        video = self._video(request, ask)
        video.opened(request.backend)
        self._errors.has_errors()  # of the work before, which failed, and of opening, which is no chunk's damage
        result = video.decode(request.backend, request.chunk, frames, request.rows)
        return replace(result, is_damaged=self._errors.has_errors())

    def _video(self, request: DecodeRequest, ask: Ask) -> InProcessBackends:
        key = request.file, request.fingerprint
        if key not in self._open:
            file = request.file
            self._open[key] = InProcessBackends(file.fetching(ask) if isinstance(file, BlockFile) else file)
            while len(self._open) > OPEN_VIDEOS_KEPT:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(key)
        return self._open[key]
