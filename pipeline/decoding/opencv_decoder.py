"""The opt-in OpenCV backend: exact if its clock is exact from the first frame on."""

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
    """Grabs every frame up to the planned ones: OpenCV's seeks land on other frames, and take 12.2 s instead of 1.75.

    It opens the video by path, because it crashes on the bytes of some files; so anything but a video is refused first.
    """

    def __init__(self, video: VideoFile) -> None:
        if not isinstance(video, Path):
            raise DecodeFailed("OpenCV reads only whole files")
        self._path = video
        with video.open("rb") as file:
            if sniff_container(file.read(SNIFF_BYTES)) is None:
                raise DecodeFailed("OpenCV reads only videos")
        self._capture = cv2.VideoCapture()
        self._reopen()

    def frames(self, chunk: Chunk) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        targets = chunk.pts_seconds
        if self._seconds > targets[0] + PTS_TOLERANCE_SECONDS:
            self._reopen()
        place = 0
        while place < len(targets):
            if self._seconds > targets[place] + PTS_TOLERANCE_SECONDS:
                place += 1  # the frame is missing
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
        if abs(self._seconds) > PTS_TOLERANCE_SECONDS:  # AVI with B-frames: these are decoding times
            raise DecodeFailed("OpenCV counts the video's time in another way")

    def _grab(self) -> bool:
        grabbed = self._capture.grab()
        self._seconds = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        """The time of the frame grabbed last, from the first frame."""
        return grabbed

    def _retrieved(self, place: int) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        is_there, bgr = self._capture.retrieve()
        if is_there:
            yield place, np.ascontiguousarray(bgr[..., ::-1], dtype=np.uint8)
