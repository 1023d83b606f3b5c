"""The decoding backends, and running them in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pipeline.decoding.chunk_decoder import PLANNED, TORCHCODEC_CUDA, BackendResult, DecodingBackend
from pipeline.decoding.planned_decoder import PlannedDecoder
from pipeline.decoding.pyav_decoder import PyavDecoder
from pipeline.decoding.resizing import resize_frame
from pipeline.types import Chunk
from pipeline.video.video_files import VideoFile

OpenVideo = Callable[[VideoFile], DecodingBackend]


def _torchcodec(video: VideoFile, device: Literal["cpu", "cuda"] = "cpu") -> DecodingBackend:
    # Its import takes 5 s and 190 MB, most of it for torch's compiler, and most videos never need it.
    from pipeline.decoding.torchcodec_decoder import TorchcodecDecoder  # noqa: PLC0415

    return TorchcodecDecoder(video, device)


def _opencv(video: VideoFile) -> DecodingBackend:
    # Like decord, it loads its own FFmpeg, so both are imported on demand.
    from pipeline.decoding.opencv_decoder import OpencvDecoder  # noqa: PLC0415

    return OpencvDecoder(video)


def _decord(video: VideoFile) -> DecodingBackend:
    from pipeline.decoding.decord_decoder import DecordDecoder  # noqa: PLC0415

    return DecordDecoder(video)


BACKENDS: Mapping[str, OpenVideo] = {
    PLANNED: PlannedDecoder,
    "torchcodec": _torchcodec,
    TORCHCODEC_CUDA: partial(_torchcodec, device="cuda"),
    "pyav": PyavDecoder,
    "opencv": _opencv,
    "decord": _decord,
}


class InProcessBackends:
    """Backends over one video. They run in this process, and stay open from chunk to chunk."""

    def __init__(self, video: VideoFile, backends: Mapping[str, OpenVideo] = BACKENDS) -> None:
        self._video = video
        self._backends = backends
        self._open: dict[str, DecodingBackend] = {}

    def new_frames(self, shape: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        return np.empty(shape, np.uint8)

    def decode(self, backend: str, chunk: Chunk, frames: NDArray[np.uint8], rows: NDArray[np.int64]) -> BackendResult:
        decoder = self.opened(backend)
        positions = []
        try:
            for position, frame in decoder.frames(chunk):
                resize_frame(frame, frames[rows[position]])
                positions.append(position)
        except BaseException:
            self._open.pop(backend).close()
            raise
        return BackendResult(positions, is_damaged=False)

    def opened(self, backend: str) -> DecodingBackend:
        """The backend with the video open. Raises DecodeFailed if it cannot open it."""
        if backend not in self._open:
            self._open[backend] = self._backends[backend](self._video)
        return self._open[backend]

    def close(self) -> None:
        for decoder in self._open.values():
            decoder.close()
        self._open.clear()
