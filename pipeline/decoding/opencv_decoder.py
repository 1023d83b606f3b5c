"""OpenCV, for who asks for it: exact where its clock is, from the first frame on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.decoding.chunk_decoder import PTS_TOLERANCE_SECONDS
from pipeline.errors import DecodeFailed
from pipeline.types import Chunk
from pipeline.video.sniffing import SNIFF_BYTES, sniff_container
from pipeline.video.video_files import VideoFile


class OpencvDecoder:
    """Grabs every frame up to the planned ones: its seeks lead to other frames, and cost more (12.2 s against 1.75).

    Given a path, it survives files over which it crashes when given their bytes; so what is no video is refused first.
    """

    def __init__(self, video: VideoFile) -> None:
        if not isinstance(video, Path):
            raise DecodeFailed("OpenCV is given whole files alone")
        self._path = video
        with video.open("rb") as file:
            if sniff_container(file.read(SNIFF_BYTES)) is None:
                raise DecodeFailed("OpenCV is given videos alone")
        self._capture = cv2.VideoCapture()
        self._reopen()

    def frames(self, chunk: Chunk) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        targets = chunk.pts_seconds
        if self._seconds > targets[0] + PTS_TOLERANCE_SECONDS:
            self._reopen()
        place = 0
        while place < len(targets):
            if self._seconds > targets[place] + PTS_TOLERANCE_SECONDS:
                place += 1  # passed by: it never came
            elif self._seconds >= targets[place] - PTS_TOLERANCE_SECONDS:
                yield from self._retrieved(place)
                place += 1
            elif not self._grab():
                return

    def close(self) -> None:
        self._capture.release()

    def _reopen(self) -> None:
        if not self._capture.open(str(self._path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1]) or not self._grab():
            raise DecodeFailed("OpenCV cannot open the video")
        if abs(self._seconds) > PTS_TOLERANCE_SECONDS:  # AVI with B-frames: these are times of decoding
            raise DecodeFailed("OpenCV counts the video's time in another way")

    def _grab(self) -> bool:
        grabbed = self._capture.grab()
        self._seconds = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        """Of the frame that was grabbed last, from the first one."""
        return grabbed

    def _retrieved(self, place: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        is_there, bgr = self._capture.retrieve()
        if is_there:
            yield place, np.ascontiguousarray(bgr[..., ::-1], dtype=np.uint8)
