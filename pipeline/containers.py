"""Opening a file with FFmpeg's demuxers, safely: what probing and decoding share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from pipeline.errors import UnreadableVideo, UnsupportedMedia
from pipeline.sniffing import SNIFF_BYTES, sniff_container


@contextmanager
def opened_container(file: BinaryIO) -> Iterator[InputContainer]:
    """FFmpeg's demuxer over an open file, after a look at the content.

    FFmpeg is given the file and never its name: by name it would follow a playlist that calls itself `video.mp4`.
    """
    if sniff_container(file.read(SNIFF_BYTES)) is None:
        raise UnsupportedMedia(
            "The file is not a video in a container that is allowed here (MP4/MOV, Matroska/WebM, AVI, MPEG-TS, "
            "MPEG-PS, FLV, Ogg): its first bytes are none of theirs, whatever its name says."
        )
    file.seek(0)
    with translated_ffmpeg_errors(), av.open(file, mode="r", metadata_errors="replace") as container:
        yield container


@contextmanager
def translated_ffmpeg_errors() -> Iterator[None]:
    """FFmpeg's complaints about a file, as ours."""
    try:
        yield
    except (av.error.FFmpegError, EOFError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise UnreadableVideo(
            f"The video cannot be read ({reason}): it is damaged, or was cut off. Check that it plays, or re-encode it."
        ) from error


def packets_of(container: InputContainer, stream: VideoStream) -> Iterator[av.Packet[VideoStream]]:
    """The stream's packets in the order of the file, and an empty last one."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except IndexError:  # PyAV 18.1, behind the last packet, where a stream turned up midway (MPEG-TS, FLV)
            return
        if packet is None:
            return
        yield packet


def video_stream(container: InputContainer) -> VideoStream:
    """The stream that FFmpeg holds for the best; torchcodec picks the same one."""
    stream = container.streams.best("video")
    if not isinstance(stream, VideoStream):
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "no"
        raise UnsupportedMedia(f"The file has {kinds} streams and no video stream.")
    return stream
