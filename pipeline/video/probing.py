"""Read a video's metadata from its packets. One picture is decoded, which shows that decoding works, and whether the
video is rotated, HDR or interlaced.
"""

from __future__ import annotations

import itertools
import os
import re
from array import array
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, cast

import av
import numpy as np
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorTrc
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.config import VideoLimits
from pipeline.errors import UnreadableVideo, UnsupportedMedia, VideoTooLong
from pipeline.types import HdrTransfer, VideoInfo
from pipeline.video.containers import WithoutMediaData, opened_container, packets_of, video_stream
from pipeline.video.packet_index import PLANNED_CODECS, PLANNED_CONTAINERS, PLANNED_PIXEL_FORMATS, PacketIndex
from pipeline.video.video_files import VideoFile

_PACKETS_TO_FIRST_PICTURE = 300
"""Packets of a damaged start to skip: ten seconds at 30 frames per second."""

MISSING_SHARE_TOLERATED = 0.02
"""Share of the frames in a file's header that may be missing."""

_HDR_TRANSFERS: dict[int, HdrTransfer] = {ColorTrc.SMPTE2084: HdrTransfer.PQ, ColorTrc.ARIB_STD_B67: HdrTransfer.HLG}
_PROGRESSIVE_ORDERS = (0, 1)
"""Unknown and progressive in FFmpeg's AVFieldOrder; the others are interlaced."""


@dataclass(frozen=True, eq=False)
class ProbedVideo:
    """A video's metadata, the time at which each of its frames is shown, and the packets that hold them."""

    info: VideoInfo
    pts_seconds: NDArray[np.float64]
    """(N,) in display order; the first is 0."""
    packet_index: PacketIndex | None
    """None if the packets are not reliable enough to plan with."""


def probe(video: VideoFile, *, fingerprint: str, limits: VideoLimits, skims: bool = False) -> ProbedVideo:
    """Read the packets of `video` once, from start to end. Memory grows by 16 bytes per frame and 16 per key frame.

    With `skims`, only the tables of packets and the first picture are read, if the container has such tables. That is
    for videos that must be fetched.

    Raises UnsupportedMedia for anything but an allowed video, UnreadableVideo for a damaged one and VideoTooLong for
    one above `limits`.
    """
    with video.open("rb") as file:
        with opened_container(file) as container:
            stream = video_stream(container)
            _check_stream(stream, limits)
            picture = _first_picture(container, stream)
            _check_size(picture.width, picture.height, limits)  # the container may declare less
            is_interlaced = picture.interlaced_frame or stream.codec_context.field_order not in _PROGRESSIVE_ORDERS
            skims &= container.format.name.startswith("mov")
        size_bytes = file.seek(0, os.SEEK_END)
        file.seek(0)
        packets_file = cast(BinaryIO, WithoutMediaData(file)) if skims else file
        with opened_container(packets_file) as container:
            stream = video_stream(container)
            packets = _read_packets(container, stream, limits.max_total_frames, keys_by_table=skims)
            _check_complete(packets, container, stream)
            clock_seconds = np.sort(packets.ticks).astype(np.float64) * float(stream.time_base or 1)
            pts_seconds = clock_seconds - clock_seconds[0]
            info = _video_info(
                container,
                stream,
                picture,
                pts_seconds,
                size_bytes=size_bytes,
                fingerprint=fingerprint,
                clock_offset_seconds=float(clock_seconds[0]),
                is_interlaced=is_interlaced,
            )
    if info.duration_seconds > limits.max_duration_seconds:
        raise VideoTooLong(
            f"The video lasts {info.duration_seconds:.0f} s; {limits.max_duration_seconds:.0f} s are allowed here."
        )
    return ProbedVideo(info, pts_seconds, _packet_index(packets, info, picture.format.name))


def _check_stream(stream: VideoStream, limits: VideoLimits) -> None:
    codec: VideoCodecContext | None = stream.codec_context  # None if FFmpeg does not know the codec
    name = codec.codec.canonical_name if codec else "unknown"
    if codec is None or name not in limits.allowed_codecs:
        raise UnsupportedMedia(
            f"The video's codec is {name}; allowed here are {', '.join(sorted(limits.allowed_codecs))}."
        )
    if not codec.width or not codec.height:
        raise UnreadableVideo("The video does not say its width and height: it is damaged, or was cut off.")
    _check_size(codec.width, codec.height, limits)
    # From the header, and from the table of packets, if the container has them.
    _check_num_frames(max(stream.frames, len(stream.index_entries)), limits.max_total_frames)


def _check_size(width_px: int, height_px: int, limits: VideoLimits) -> None:
    if width_px * height_px > limits.max_frame_pixels:
        raise VideoTooLong(
            f"The video is {width_px}x{height_px} px; {limits.max_frame_pixels} px a frame are allowed here."
        )


def _check_num_frames(num_frames: int, max_frames: int) -> None:
    if num_frames > max_frames:
        raise VideoTooLong(f"The video has more than {max_frames} frames, the most allowed here.")


def _first_picture(container: InputContainer, stream: VideoStream) -> av.VideoFrame:
    """The first picture that decodes. PyAV exposes a stream's rotation on its frames alone."""
    stream.thread_count = 1  # each thread would take a share of the process's memory
    for packet in itertools.islice(packets_of(container, stream), _PACKETS_TO_FIRST_PICTURE):
        with suppress(av.error.FFmpegError):
            for picture in packet.decode():
                return picture
    raise UnreadableVideo("None of the video's first pictures can be decoded: the file is damaged, or was cut off.")


@dataclass(frozen=True, eq=False)
class _VideoPackets:
    """The packets of a video stream, in the order of the file; N of them show a frame."""

    ticks: NDArray[np.int64]
    """(N,) when each frame is shown, on the container's own clock."""
    num_packets: int
    """Number of packets, those that an edit list hides included."""
    stop_ticks: int
    """When the last frame ends."""
    key_places: NDArray[np.int64]
    """(K,) places in `ticks` at which decoding may start."""
    key_seek_ticks: NDArray[np.int64]
    """(K,) seek targets for each of them."""
    all_are_plain: bool
    """Whether each packet has its times, and none is hidden."""


def _read_packets(
    container: InputContainer, stream: VideoStream, max_frames: int, *, keys_by_table: bool
) -> _VideoPackets:
    """Read the stream to its end. Memory grows by 8 bytes a frame, and by 16 a key frame.

    Raises UnreadableVideo for a stream without frames, VideoTooLong for more than `max_frames`.
    """
    ticks, key_places, key_seek_ticks = array("q"), array("q"), array("q")
    num_packets = stop_ticks = 0
    all_are_plain = True
    # MP4 seeks in an index of decoding times; Matroska's cues are presentation times.
    seeks_by_dts = container.format.name.startswith("mov")
    for packet in packets_of(container, stream):
        # As in torchcodec: AVI has no presentation times, and frames that an edit list hides are marked.
        shown_ticks = packet.pts if packet.pts is not None else packet.dts
        if shown_ticks is None:
            all_are_plain &= not packet.size
            continue
        num_packets += 1
        stop_ticks = max(stop_ticks, shown_ticks + (packet.duration or 0))
        seek_ticks = packet.dts if seeks_by_dts else packet.pts
        all_are_plain &= packet.size > 0 and not packet.is_discard and None not in (packet.pts, seek_ticks)
        if not packet.size or packet.is_discard:
            continue
        is_key = stream.index_entries[num_packets - 1].is_keyframe if keys_by_table else packet.is_keyframe
        if is_key and seek_ticks is not None:
            key_places.append(len(ticks))
            key_seek_ticks.append(seek_ticks)
        ticks.append(shown_ticks)
        _check_num_frames(len(ticks), max_frames)
    if not ticks:
        raise UnreadableVideo("The video stream holds no frames: the file is damaged, or was cut off.")
    return _VideoPackets(
        np.frombuffer(ticks, np.int64),  # the same memory: a copy would double the peak
        num_packets,
        stop_ticks,
        np.array(key_places, np.int64),
        np.array(key_seek_ticks, np.int64),
        all_are_plain,
    )


def _packet_index(packets: _VideoPackets, info: VideoInfo, pixel_format: str) -> PacketIndex | None:
    if info.codec not in PLANNED_CODECS or not info.container.startswith(PLANNED_CONTAINERS):
        return None
    if pixel_format not in PLANNED_PIXEL_FORMATS:
        return None
    starts_with_key = packets.key_places[:1].tolist() == [0]
    if not (packets.all_are_plain and starts_with_key and len(np.unique(packets.ticks)) == len(packets.ticks)):
        return None
    return PacketIndex(packets.ticks, packets.key_places, packets.key_seek_ticks)


def _check_complete(packets: _VideoPackets, container: InputContainer, stream: VideoStream) -> None:
    """Raise UnreadableVideo for a truncated file, whose start a player would show without an error."""
    missing = _num_missing(packets, container, stream)
    promised = packets.num_packets + missing
    if missing > promised * MISSING_SHARE_TOLERATED:
        raise UnreadableVideo(
            f"The video's header promises {promised} frames, and the file holds {packets.num_packets}: it was cut off "
            "or is damaged. Check that it plays to its end, and send it again."
        )


def _num_missing(packets: _VideoPackets, container: InputContainer, stream: VideoStream) -> int:
    """How many frames the file lacks by its own count; 0 if it has none, as in MPEG-TS."""
    if container.format.name.startswith("mov"):
        # The index after edit lists. `stream.frames` also counts the frames that these remove.
        return len(stream.index_entries) - packets.num_packets
    if container.format.name == "avi":
        # Times are frame numbers here. A frame that only repeats the previous one is counted, but has no packet.
        return stream.frames - packets.stop_ticks
    if packets.stop_ticks and (seconds := _clock_seconds(stream.metadata.get("DURATION", ""))):
        # Matroska's tag: where the stream ends or, with another muxer, how long it is.
        found_seconds = float(packets.stop_ticks * (stream.time_base or 1))
        return round((seconds - found_seconds) * packets.num_packets / found_seconds)
    return 0


def _clock_seconds(text: str) -> float:
    """The seconds of a text like `00:01:30.500000000`; 0 for anything else."""
    found = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", text)
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]) if found else 0.0


def _video_info(
    container: InputContainer,
    stream: VideoStream,
    picture: av.VideoFrame,
    pts_seconds: NDArray[np.float64],
    *,
    size_bytes: int,
    fingerprint: str,
    clock_offset_seconds: float,
    is_interlaced: bool,
) -> VideoInfo:
    frame_seconds = _frame_seconds(stream, pts_seconds)
    duration_seconds = float(pts_seconds[-1]) + frame_seconds
    width, height = shown_size(picture)
    return VideoInfo(
        width=width,
        height=height,
        fps=len(pts_seconds) / duration_seconds,
        duration_seconds=duration_seconds,
        total_frames=len(pts_seconds),
        codec=stream.codec_context.codec.canonical_name,  # `name` is the decoder's: libdav1d for av1
        container=container.format.name,
        size_bytes=size_bytes,
        fingerprint=fingerprint,
        is_variable_frame_rate=_is_variable(pts_seconds, frame_seconds),
        clock_offset_seconds=clock_offset_seconds,
        hdr_transfer=_HDR_TRANSFERS.get(picture.color_trc),
        is_interlaced=is_interlaced,
    )


def _frame_seconds(stream: VideoStream, pts_seconds: NDArray[np.float64]) -> float:
    """How long the last frame is shown: as long as the median frame, because no container is reliable here."""
    if len(pts_seconds) > 1:
        seconds = float(np.median(np.diff(pts_seconds))) or float(pts_seconds[-1]) / (len(pts_seconds) - 1)
        if seconds:
            return seconds
    rate = stream.average_rate or stream.guessed_rate
    return 1 / float(rate) if rate else 1.0


def _is_variable(pts_seconds: NDArray[np.float64], frame_seconds: float) -> bool:
    """Whether a frame is more than half a frame off an even grid; less is the rounding of a coarse clock."""
    even = np.linspace(0.0, pts_seconds[-1], len(pts_seconds))
    return bool(np.any(np.abs(pts_seconds - even) > frame_seconds / 2))


def shown_size(picture: av.VideoFrame) -> tuple[int, int]:
    """(width, height) in pixels, with the file's rotation applied."""
    if picture.rotation % 180:
        return picture.height, picture.width
    return picture.width, picture.height
