"""The opt-in decord backend."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import decord
import numpy as np
from numpy.typing import NDArray

from pipeline.decoding.chunk_decoder import PTS_TOLERANCE_SECONDS
from pipeline.errors import DecodeFailed
from pipeline.types import Chunk
from pipeline.video.sniffing import SNIFF_BYTES, Container, sniff_container
from pipeline.video.video_files import VideoFile

_CONTAINERS = (Container.ISO_BMFF, Container.MATROSKA)
"""In MPEG-TS it returns other frames than it reports; in AVI with B-frames it has no times."""


class DecordDecoder:
    """Decodes with one thread: with more, decord rejects packets of some files permanently (EAGAIN).

    It aborts on some damaged files, and its FFmpeg of 2018 has no AV1.
    """

    def __init__(self, video: VideoFile) -> None:
        if not isinstance(video, Path):
            raise DecodeFailed("decord reads only whole files")
        with video.open("rb") as file:
            container = sniff_container(file.read(SNIFF_BYTES))
        if container not in _CONTAINERS:
            raise DecodeFailed(f"decord reads only MP4 and Matroska here, and this is {container or 'no video'}")
        try:
            self._reader = decord.VideoReader(str(video), ctx=decord.cpu(0), num_threads=1)
        except (decord.DECORDError, RuntimeError) as error:
            raise DecodeFailed("decord cannot open the video") from error

    def frames(self, chunk: Chunk) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        if len(chunk.frame_indices) and int(chunk.frame_indices.max()) >= len(self._reader):
            raise DecodeFailed(f"decord counts only {len(self._reader)} frames in the video")
        starts = self._reader.get_frame_timestamp(chunk.frame_indices)[:, 0]
        if np.abs(starts - chunk.pts_seconds).max() > PTS_TOLERANCE_SECONDS:
            raise DecodeFailed("decord counts the video's frames in another way")
        for place, index in enumerate(chunk.frame_indices.tolist()):
            try:
                picture = self._reader[index].asnumpy()
            except (decord.DECORDError, RuntimeError, StopIteration):
                continue
            yield place, picture

    def close(self) -> None:
        del self._reader
