"""The planned backend: exact frames with the least decoding, by a chunk's packet runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import av
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.decoding.disposable_pictures import disposable_pictures
from pipeline.decoding.rgb import RgbConverter
from pipeline.errors import DecodeFailed, VideoError
from pipeline.types import Chunk, PacketRun
from pipeline.video.containers import opened_container, packets_of, translated_ffmpeg_errors, video_stream
from pipeline.video.video_files import VideoFile


class PlannedDecoder:
    """Feeds the decoder a chunk's packets, except those whose frame is neither planned nor referred to by another.

    The caller checks that every planned frame was decoded.
    """

    def __init__(self, video: VideoFile) -> None:
        self._resources = ExitStack()
        try:
            file = self._resources.enter_context(video.open("rb"))
            self._container = self._resources.enter_context(opened_container(file))
            self._stream = video_stream(self._container)
        except VideoError as error:
            self._resources.close()
            raise DecodeFailed("PyAV cannot open the video") from error
        # The deployment runs one decoder per core; a second thread here costs 13 to 20 % more CPU.
        self._codec = self._stream.codec_context
        self._codec.thread_count = 1
        self._is_disposable = disposable_pictures(self._codec.codec.canonical_name, self._codec.extradata or b"")
        self._to_rgb = RgbConverter()

    def frames(self, chunk: Chunk) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        if not chunk.packet_runs:
            raise DecodeFailed("the video's packets allow no plan")
        ticks_per_second = 1 / self._stream.time_base if self._stream.time_base else 1
        ticks = np.round((chunk.pts_seconds + chunk.clock_offset_seconds) * float(ticks_per_second)).astype(np.int64)
        places = {pts_ticks: place for place, pts_ticks in enumerate(ticks.tolist())}
        for run in chunk.packet_runs:
            for picture in self._pictures(run, places):
                place = places.get(picture.pts)
                if place is not None:
                    yield place, self._to_rgb(picture)

    def close(self) -> None:
        self._resources.close()

    def _pictures(self, run: PacketRun, planned: dict[int, int]) -> Iterator[av.VideoFrame]:
        try:
            with translated_ffmpeg_errors():
                for packet in self._packets(run):
                    if packet.pts is not None and packet.pts < run.first_pts_ticks:
                        continue  # it may refer to packets before the run, and no later packet refers to it
                    is_disposable = self._is_disposable(memoryview(packet))
                    if packet.pts in planned or not is_disposable:
                        yield from self._codec.decode(packet)
                yield from self._codec.decode(None)
        except DecodeFailed:
            raise
        except VideoError as error:
            raise DecodeFailed("a packet of the plan is damaged") from error
        finally:
            self._codec.flush_buffers()

    def _packets(self, run: PacketRun) -> Iterator[av.Packet[VideoStream]]:
        """The packets of `run`. Raises DecodeFailed if they differ from the plan."""
        self._container.seek(run.seek_ticks, stream=self._stream)
        count = 0
        for packet in packets_of(self._container, self._stream):
            if not count and packet.pts != run.first_pts_ticks:
                continue
            count += 1
            yield packet
            if count == run.num_packets:
                if packet.pts != run.last_pts_ticks:
                    break
                return
        raise DecodeFailed("the video's packets are not those of the plan")
