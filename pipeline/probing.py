"""What a video is, read from its packets; one picture is decoded, to see that it can be and which way up it is."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.stream import VideoStream
from numpy.typing import NDArray

from pipeline.config import VideoLimits
from pipeline.containers import opened_container, packets_of, video_stream
from pipeline.errors import UnreadableVideo, UnsupportedMedia, VideoTooLong
from pipeline.types import VideoInfo

_PACKETS_TO_FIRST_PICTURE = 300
"""A damaged start is passed over for this many packets: ten seconds at 30 frames per second."""

MISSING_SHARE_TOLERATED = 0.02
"""Of the frames that a file's header promises."""


@dataclass(frozen=True, eq=False)
class ProbedVideo:
    """A video's metadata and the time at which each of its frames is shown."""

    info: VideoInfo
    pts_seconds: NDArray[np.float64]
    """(N,) in display order; the first is 0."""


def probe(path: Path, *, fingerprint: str, limits: VideoLimits) -> ProbedVideo:
    """Reads the packets of the file at `path` once, from start to end; memory grows by 8 bytes per frame.

    Raises UnsupportedMedia for what is not an allowed video, UnreadableVideo for a damaged one and VideoTooLong for
    one above `limits`.
    """
    with path.open("rb") as file:
        with opened_container(file) as container:
            stream = video_stream(container)
            _check_stream(stream, limits)
            picture = _first_picture(container, stream)
        file.seek(0)
        with opened_container(file) as container:
            stream = video_stream(container)
            clock_seconds = _frame_times(container, stream, limits)
            pts_seconds = clock_seconds - clock_seconds[0]
            info = _video_info(
                container,
                stream,
                shown_size(picture),
                pts_seconds,
                size_bytes=path.stat().st_size,
                fingerprint=fingerprint,
                clock_offset_seconds=float(clock_seconds[0]),
            )
    if info.duration_seconds > limits.max_duration_seconds:
        raise VideoTooLong(
            f"The video lasts {info.duration_seconds:.0f} s; {limits.max_duration_seconds:.0f} s are allowed here."
        )
    return ProbedVideo(info, pts_seconds)


def _check_stream(stream: VideoStream, limits: VideoLimits) -> None:
    codec: VideoCodecContext | None = stream.codec_context  # None where FFmpeg does not know the codec
    name = codec.codec.canonical_name if codec else "unknown"
    if codec is None or name not in limits.allowed_codecs:
        raise UnsupportedMedia(
            f"The video's codec is {name}; allowed here are {', '.join(sorted(limits.allowed_codecs))}."
        )
    if not codec.width or not codec.height:
        raise UnreadableVideo("The video does not say its width and height: it is damaged, or was cut off.")
    if codec.width * codec.height > limits.max_frame_pixels:
        raise VideoTooLong(
            f"The video is {codec.width}x{codec.height} px; {limits.max_frame_pixels} px a frame are allowed here."
        )


def _first_picture(container: InputContainer, stream: VideoStream) -> av.VideoFrame:
    """PyAV shows a stream's rotation on its frames alone."""
    for packet in itertools.islice(packets_of(container, stream), _PACKETS_TO_FIRST_PICTURE):
        with suppress(av.error.FFmpegError):
            for picture in packet.decode():
                return picture
    raise UnreadableVideo("None of the video's first pictures can be decoded: the file is damaged, or was cut off.")


def _frame_times(container: InputContainer, stream: VideoStream, limits: VideoLimits) -> NDArray[np.float64]:
    """(N,) seconds on the container's own clock, in display order."""
    packets = _PacketTimes(container, stream, limits.max_total_frames)
    ticks = np.fromiter(packets, dtype=np.int64)
    if not len(ticks):
        raise UnreadableVideo("The video stream holds no frames: the file is damaged, or was cut off.")
    _check_complete(packets)
    ticks.sort()
    return ticks.astype(np.float64) * float(stream.time_base or 1)


class _PacketTimes:
    """Presentation time of each packet that shows a frame, in ticks, in the order of the file; counts on the way."""

    def __init__(self, container: InputContainer, stream: VideoStream, max_frames: int) -> None:
        self.container, self.stream = container, stream
        self.num_packets = 0
        """With those that an edit list hides."""
        self.stop_ticks = 0
        """When the last frame ends, on the container's clock."""
        self._max_frames = max_frames

    def __iter__(self) -> Iterator[int]:
        num_frames = 0
        for packet in packets_of(self.container, self.stream):
            # As torchcodec does: AVI knows no presentation times, and an edit list marks what it hides.
            ticks = packet.pts if packet.pts is not None else packet.dts
            if ticks is None:
                continue
            self.num_packets += 1
            self.stop_ticks = max(self.stop_ticks, ticks + (packet.duration or 0))
            if not packet.size or packet.is_discard:
                continue
            num_frames += 1
            if num_frames > self._max_frames:
                raise VideoTooLong(f"The video has more than {self._max_frames} frames, the most allowed here.")
            yield ticks


def _check_complete(packets: _PacketTimes) -> None:
    """Raises UnreadableVideo for a file that was cut off: a player would show its start and say nothing."""
    missing = _num_missing(packets)
    promised = packets.num_packets + missing
    if missing > promised * MISSING_SHARE_TOLERATED:
        raise UnreadableVideo(
            f"The video's header promises {promised} frames, and the file holds {packets.num_packets}: it was cut off "
            "or is damaged. Check that it plays to its end, and send it again."
        )


def _num_missing(packets: _PacketTimes) -> int:
    """How many frames the file lacks by its own account; 0 where it gives none, as MPEG-TS does not."""
    container, stream = packets.container, packets.stream
    if container.format.name.startswith("mov"):
        # The index after edit lists. `stream.frames` counts what those cut away, too.
        return len(stream.index_entries) - packets.num_packets
    if container.format.name == "avi":
        # Times are frame numbers here. A frame that only repeats the one before it is counted, and has no packet.
        return stream.frames - packets.stop_ticks
    if packets.stop_ticks and (seconds := _clock_seconds(stream.metadata.get("DURATION", ""))):
        # Matroska's tag: where the stream ends, or, by another muxer, how long it is.
        found_seconds = float(packets.stop_ticks * (stream.time_base or 1))
        return round((seconds - found_seconds) * packets.num_packets / found_seconds)
    return 0


def _clock_seconds(text: str) -> float:
    """Of `00:01:30.500000000`; 0 for anything else."""
    found = re.fullmatch(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)", text)
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3]) if found else 0.0


def _video_info(
    container: InputContainer,
    stream: VideoStream,
    size_px: tuple[int, int],
    pts_seconds: NDArray[np.float64],
    *,
    size_bytes: int,
    fingerprint: str,
    clock_offset_seconds: float,
) -> VideoInfo:
    frame_seconds = _frame_seconds(stream, pts_seconds)
    duration_seconds = float(pts_seconds[-1]) + frame_seconds
    return VideoInfo(
        width=size_px[0],
        height=size_px[1],
        fps=len(pts_seconds) / duration_seconds,
        duration_seconds=duration_seconds,
        total_frames=len(pts_seconds),
        codec=stream.codec_context.codec.canonical_name,  # `name` is the decoder's: libdav1d for av1
        container=container.format.name,
        size_bytes=size_bytes,
        fingerprint=fingerprint,
        is_variable_frame_rate=_is_variable(pts_seconds, frame_seconds),
        clock_offset_seconds=clock_offset_seconds,
    )


def _frame_seconds(stream: VideoStream, pts_seconds: NDArray[np.float64]) -> float:
    """How long the last frame stands: as long as the median one, as no container says it reliably."""
    if len(pts_seconds) > 1:
        seconds = float(np.median(np.diff(pts_seconds))) or float(pts_seconds[-1]) / (len(pts_seconds) - 1)
        if seconds:
            return seconds
    rate = stream.average_rate or stream.guessed_rate
    return 1 / float(rate) if rate else 1.0


def _is_variable(pts_seconds: NDArray[np.float64], frame_seconds: float) -> bool:
    """Whether a frame is more than half a frame away from an even grid; less is the rounding of a coarse clock."""
    even = np.linspace(0.0, pts_seconds[-1], len(pts_seconds))
    return bool(np.any(np.abs(pts_seconds - even) > frame_seconds / 2))


def shown_size(picture: av.VideoFrame) -> tuple[int, int]:
    """(width, height) in pixels after the rotation that the file asks for."""
    if picture.rotation % 180:
        return picture.height, picture.width
    return picture.width, picture.height
