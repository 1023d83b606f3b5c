"""Open a file safely with FFmpeg's demuxers, for probing and decoding."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline.errors import UnreadableVideo, UnsupportedMedia
from pipeline.video.sniffing import SNIFF_BYTES, sniff_container


@contextmanager
def opened_container(file: BinaryIO) -> Iterator[InputContainer]:
    """FFmpeg's demuxer over an open file, once its content is recognised.

    FFmpeg gets the file and never its name: given a name, it would follow a playlist called `video.mp4`.
    """
    if sniff_container(file.read(SNIFF_BYTES)) is None:
        raise UnsupportedMedia(
            "The file is not a video in a container that is allowed here (MP4/MOV, Matroska/WebM, AVI, MPEG-TS, "
            "MPEG-PS, FLV, Ogg), judging by its first bytes. Convert it to one of these, such as MP4."
        )
    file.seek(0)
    with translated_ffmpeg_errors(), av.open(file, mode="r", metadata_errors="replace") as container:
        yield container


@contextmanager
def translated_ffmpeg_errors() -> Iterator[None]:
    """Translate FFmpeg's errors about a file."""
    try:
        yield
    except (av.error.FFmpegError, EOFError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise UnreadableVideo(
            f"The video cannot be read ({reason}): it is damaged, or was cut off. Check that it plays, or re-encode it."
        ) from error


def packets_of(container: InputContainer, stream: VideoStream) -> Iterator[av.Packet[VideoStream]]:
    """The stream's packets in file order, followed by an empty one."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except IndexError:  # PyAV 18.1, after the last packet, if a stream appeared midway (MPEG-TS, FLV)
            return
        if packet is None:
            return
        yield packet


def video_stream(container: InputContainer) -> VideoStream:
    """The stream that FFmpeg considers best; torchcodec picks the same one."""
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream):
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "no"
        raise UnsupportedMedia(f"The file has {kinds} streams and no video stream.")
    return stream


class WithoutMediaData(io.RawIOBase):
    """An MP4 file whose pictures read as zeros. Its tables hold the place, the time and the size of each picture.

    So the packets of a remote file can be read without fetching its pictures. FFmpeg's demuxer returns the same times,
    sizes and order. For some codecs it derives key frame flags from the pictures, which makes them wrong here; use
    those of `VideoStream.index_entries`.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._media = list(_media_data(file))
        self._size_bytes = file.seek(0, os.SEEK_END)
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size_bytes}[whence]
        self._place = max(0, start + offset)
        return self._place

    def tell(self) -> int:
        return self._place

    def read(self, size: int = -1) -> bytes:
        remaining = self._size_bytes - self._place
        stop = self._place + (remaining if size < 0 else min(size, max(0, remaining)))
        for start, end in self._media:
            if start <= self._place < end:
                content = bytes(min(stop, end) - self._place)
                break
            if self._place < start:
                stop = min(stop, start)
                content = self._read_tables(stop)
                break
        else:
            content = self._read_tables(stop)
        self._place += len(content)
        return content

    def _read_tables(self, stop: int) -> bytes:
        self._file.seek(self._place)
        return self._file.read(stop - self._place)


_BOX_HEADER_BYTES, _LARGE_BOX_HEADER_BYTES = 8, 16


def _media_data(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """(start, stop) of the content of each `mdat` box (ISO/IEC 14496-12, 4.2)."""
    place, size_bytes = 0, file.seek(0, os.SEEK_END)
    while place + _BOX_HEADER_BYTES <= size_bytes:
        file.seek(place)
        header = file.read(_LARGE_BOX_HEADER_BYTES)
        size, kind, header_bytes = int.from_bytes(header[:4], "big"), header[4:8], _BOX_HEADER_BYTES
        if size == 1:
            size, header_bytes = int.from_bytes(header[8:], "big"), _LARGE_BOX_HEADER_BYTES
        stop = size_bytes if size == 0 else min(place + size, size_bytes)
        if stop < place + header_bytes:
            return  # not a box: FFmpeg will reject it
        if kind == b"mdat":
            yield place + header_bytes, stop
        place = stop
