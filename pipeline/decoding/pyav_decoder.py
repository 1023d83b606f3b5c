"""The PyAV backend: skips damaged packets, for which torchcodec fails a whole call.

The only backend that tone-maps HDR and deinterlaces.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.decoding.chunk_decoder import PTS_TOLERANCE_SECONDS
from pipeline.decoding.deinterlacing import deinterlaced
from pipeline.decoding.rgb import RgbConverter
from pipeline.errors import DecodeFailed, VideoError
from pipeline.types import Chunk
from pipeline.video.containers import opened_container, packets_of, video_stream
from pipeline.video.video_files import VideoFile

SEEK_MARGINS_SECONDS = (0.0, 10.0)
"""How far before a chunk to seek. MPEG-TS has no index, so a seek may land after its target."""
_NEIGHBOUR_SECONDS = 0.5
"""How far before an interlaced picture to start, to include the previous one, from which it is deinterlaced."""


class PyavDecoder:
    """Decodes from the key frame before a chunk to its last frame, and picks the planned ones by their times."""

    def __init__(self, video: VideoFile) -> None:
        self._video = video
        self._resources = ExitStack()
        self._container, self._stream = self._opened()
        self._to_rgb = RgbConverter()

    def frames(self, chunk: Chunk) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        targets = chunk.pts_seconds + chunk.clock_offset_seconds
        place = 0
        for seconds, picture in self._treated_pictures(chunk, float(targets[0])):
            # Targets before this picture are missing, and skipped.
            place = max(place, int(np.searchsorted(targets, seconds - PTS_TOLERANCE_SECONDS)))
            if place == len(targets):
                return
            if abs(targets[place] - seconds) <= PTS_TOLERANCE_SECONDS:
                yield place, self._to_rgb(picture, chunk.treatment.tone_mapped_from)
                place += 1

    def close(self) -> None:
        self._resources.close()

    def _opened(self) -> tuple[InputContainer, VideoStream]:
        try:
            file = self._resources.enter_context(self._video.open("rb"))
            container = self._resources.enter_context(opened_container(file))
            stream = video_stream(container)
        except VideoError as error:
            self._resources.close()
            raise DecodeFailed("PyAV cannot open the video") from error
        stream.thread_count = 1
        self._tick_seconds = float(stream.time_base or 1)
        return container, stream

    def _treated_pictures(self, chunk: Chunk, clock_seconds: float) -> Iterator[tuple[float, av.VideoFrame]]:
        if not chunk.treatment.is_deinterlaced:
            return self._pictures_from(clock_seconds)
        return deinterlaced(self._pictures_from(max(chunk.clock_offset_seconds, clock_seconds - _NEIGHBOUR_SECONDS)))

    def _pictures_from(self, clock_seconds: float) -> Iterator[tuple[float, av.VideoFrame]]:
        """Pictures with their times on the container's clock, starting at or before `clock_seconds` if possible."""
        for margin_seconds in SEEK_MARGINS_SECONDS:
            with suppress(av.error.FFmpegError):
                ticks = int((clock_seconds - margin_seconds) / self._tick_seconds)
                self._container.seek(ticks, stream=self._stream)
                pictures = self._pictures(self._packets_from_key())
                first = next(pictures, None)
                if first is not None and first[0] <= clock_seconds + PTS_TOLERANCE_SECONDS:
                    yield from itertools.chain([first], pictures)
                    return
        self._resources.close()
        self._container, self._stream = self._opened()
        yield from self._pictures(packets_of(self._container, self._stream))

    def _packets_from_key(self) -> Iterator[av.Packet[VideoStream]]:
        """The packets after a seek, without those that refer to pictures before it. For such packets a decoder invents
        pictures, and reports damage.
        """
        packets = itertools.dropwhile(lambda packet: not packet.is_keyframe, packets_of(self._container, self._stream))
        for key in packets:
            yield key
            for packet in packets:
                if key.pts is None or packet.pts is None or packet.pts >= key.pts:
                    yield packet

    def _pictures(self, packets: Iterator[av.Packet[VideoStream]]) -> Iterator[tuple[float, av.VideoFrame]]:
        for packet in packets:
            with suppress(av.error.FFmpegError):
                for picture in packet.decode():
                    if picture.pts is not None:
                        yield picture.pts * self._tick_seconds, picture
