"""Run backends in a process that may die: a file that crashes or stalls a decoder fails its own chunk alone."""

from __future__ import annotations

import fcntl
import mmap
import os
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.decoding.chunk_decoder import TORCHCODEC_CUDA, BackendResult
from pipeline.errors import DecodeFailed
from pipeline.isolation.process import Cancellation, IsolatedProcess, WorkCrashed, WorkLimits, WorkLost
from pipeline.types import Chunk, VideoInfo
from pipeline.video.video_files import BlockFile, FetchRange

_LEAST_CPU_SECONDS = 8.0
_CPU_SECONDS_PER_DECODED_PIXEL = 20e-9
"""About ten times what H.264 and HEVC take on one core of 2025."""
_CPU_SECONDS_PER_RESIZED_PIXEL = 100e-9
_CPU_SECONDS_PER_TONE_MAPPED_PIXEL = 200e-9
_CPU_SECONDS_PER_PACKET = 10e-6
"""torchcodec's scan of the whole file takes 1.3e-6."""
_INDEX_BYTES_PER_PACKET = 200
_LEAST_MEMORY_BYTES = 512 * 1024**2
_PICTURES_HELD = 24
"""Pictures that a decoder holds: 16 references, those waiting for output, and the one being converted."""
_PICTURES_HELD_BY_TREATMENT = 12
"""Six for bwdif, and two copies of a picture with 16 bits a colour."""
_BYTES_PER_PIXEL = 3
_CUDA_ADDRESS_SPACE_BYTES = 2**42
"""CUDA maps all memory of the GPUs and the machine into one address space, most of it untouched. Not measured."""
_MODULES = dict.fromkeys(("torchcodec", TORCHCODEC_CUDA), "pipeline.decoding.torchcodec_decoder")
"""Modules that are slow to import and take 190 MB of the host, for videos that need their backend."""
_SECONDS_BEFORE_A_CHUNK = 20.0
"""Distance to the previous key frame, if no plan gives it."""


@dataclass(frozen=True, eq=False)
class DecodeRequest:
    """The arguments of `Backends.decode`, for the worker."""

    file: Path | BlockFile
    fingerprint: str
    backend: str
    chunk: Chunk
    rows: NDArray[np.int64]
    shape: tuple[int, int, int, int]
    """The shape of all frames in shared memory."""


def decoding_process(group: str | None = None) -> IsolatedProcess:
    """A process for decoding on one core. Processes of one group share their imports."""
    return IsolatedProcess("pipeline.decoding.worker:DecodeWorker", group)


class IsolatedBackends:
    """Backends over one video, run by `process`. Each chunk's frames have their own memory, shared with it."""

    def __init__(
        self,
        process: IsolatedProcess,
        file: Path | BlockFile,
        video: VideoInfo,
        fetch: FetchRange | None = None,
        cancellation: Cancellation | None = None,
    ) -> None:
        """`fetch` fetches missing blocks of a `BlockFile`. Once `cancellation` is set, `decode` raises WorkAborted."""
        self._process = process
        self._file = file
        self._video = video
        self._fetch = fetch
        self._cancellation = cancellation
        self._memory_fd: int | None = None
        self._shape = (0, 0, 0, 0)

    def new_frames(self, shape: tuple[int, int, int, int]) -> NDArray[np.uint8]:
        self.close()
        self._shape = shape
        self._memory_fd = os.memfd_create("frames", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.ftruncate(self._memory_fd, int(np.prod(shape)))
        # If a worker shrank it, readers would crash.
        fcntl.fcntl(self._memory_fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
        return mapped_frames(self._memory_fd, shape)

    def decode(self, backend: str, chunk: Chunk, frames: NDArray[np.uint8], rows: NDArray[np.int64]) -> BackendResult:
        request = DecodeRequest(self._file, self._video.fingerprint, backend, chunk, rows, self._shape)
        call = partial(
            self._process.call,
            request,
            decode_limits(self._video, chunk, backend),
            module=_MODULES.get(backend),
            memory_fd=self._memory_fd,
            serve=self._fetch,
            cancellation=self._cancellation,
        )
        try:
            try:
                result: BackendResult = call()
            except WorkCrashed:  # the file need not be the cause
                result = call()
        except WorkLost as error:
            raise DecodeFailed(f"{backend} {error}") from error
        return result

    def close(self) -> None:
        """Release the memory. Frames stay valid as long as their arrays exist."""
        if self._memory_fd is not None:
            os.close(self._memory_fd)
            self._memory_fd = None


def decode_limits(video: VideoInfo, chunk: Chunk, backend: str) -> WorkLimits:
    """Generous limits on decoding `chunk` by one backend: they stop malicious files, not slow ones."""
    picture_pixels = video.width * video.height
    decoded_pixels = min(_num_decoded(video, chunk, backend), video.total_frames) * picture_pixels
    tone_mapped_pixels = chunk.num_frames * picture_pixels if chunk.treatment.tone_mapped_from else 0
    pictures_held = _PICTURES_HELD + (_PICTURES_HELD_BY_TREATMENT if chunk.treatment else 0)
    resized_pixels = chunk.num_frames * (picture_pixels + chunk.height_px * chunk.width_px)
    return WorkLimits(
        cpu_seconds=_LEAST_CPU_SECONDS
        + decoded_pixels * _CPU_SECONDS_PER_DECODED_PIXEL
        + resized_pixels * _CPU_SECONDS_PER_RESIZED_PIXEL
        + tone_mapped_pixels * _CPU_SECONDS_PER_TONE_MAPPED_PIXEL
        + video.total_frames * _CPU_SECONDS_PER_PACKET,
        memory_bytes=_LEAST_MEMORY_BYTES
        + pictures_held * picture_pixels * _BYTES_PER_PIXEL
        + video.total_frames * _INDEX_BYTES_PER_PACKET
        + (_CUDA_ADDRESS_SPACE_BYTES if backend == TORCHCODEC_CUDA else 0),
    )


def _num_decoded(video: VideoInfo, chunk: Chunk, backend: str) -> float:
    """The most pictures that each backend decodes to reach the end of a chunk."""
    planned = sum(run.num_packets for run in chunk.packet_runs)
    reached = (chunk.stop_seconds - chunk.start_seconds + _SECONDS_BEFORE_A_CHUNK) * video.fps
    match backend:
        case "planned":
            return planned
        case "opencv":
            return chunk.stop_seconds * video.fps  # it decodes from the first frame on
        case _:
            return max(planned, reached)


def mapped_frames(fd: int, shape: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    """The frames in shared memory, which stay valid as long as the array exists."""
    return np.frombuffer(mmap.mmap(fd, int(np.prod(shape))), np.uint8).reshape(shape)
