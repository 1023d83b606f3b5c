"""Write a list of images into a video file, unchanged, so that it can be treated like any other video.

Nothing is decoded here: only the images' headers are read, and only FFmpeg's muxer runs. The container is MOV, whose
clock supports any rate. Matroska's clock ticks every millisecond, and FFmpeg cannot write PNG into it.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from fractions import Fraction

import av

from pipeline.errors import InvalidRequest, UnsupportedMedia, VideoTooLong
from pipeline.video.image_headers import ImageHeader, ImageRefused, image_header

DEFAULT_SAMPLE_FPS = 2.0
"""The default of fetch_video; vLLM's is 1."""
MIN_SAMPLE_FPS, MAX_SAMPLE_FPS = 0.01, 240.0
_MOST_TICKS_PER_FRAME = 1_000_000
"""Keeps 12 digits of a rate, and lets a day's times fit 64 bits."""


def frame_list_video(images: Iterable[bytes], *, sample_fps: float, max_frames: int) -> bytes:
    """A MOV file of `images`, JPEGs or PNGs, each shown for 1 / `sample_fps` seconds.

    Raises InvalidRequest if there is none, or one differs from the first in size or kind; UnsupportedMedia for other
    content; VideoTooLong for more than `max_frames`.
    """
    rate = Fraction(sample_fps).limit_denominator(_MOST_TICKS_PER_FRAME)
    file = io.BytesIO()
    stream, first = None, None
    with av.open(file, "w", format="mov") as container:
        for index, image in enumerate(images):
            if index == max_frames:
                raise VideoTooLong(f"The list has more than {max_frames} frames, the most allowed here.")
            header = _checked_header(image, index, first)
            if stream is None:
                first = header
                stream = container.add_mux_stream(
                    header.codec, rate=rate, width=header.width_px, height=header.height_px
                )
                stream.time_base = 1 / rate
            packet = av.Packet(image)
            packet.stream = stream
            packet.time_base = 1 / rate
            packet.pts = packet.dts = index
            packet.duration = 1
            packet.is_keyframe = True
            container.mux(packet)
        if stream is None:
            raise InvalidRequest("The list holds no frames. Send at least one image.")
    return file.getvalue()


def _checked_header(image: bytes, index: int, first: ImageHeader | None) -> ImageHeader:
    name = f"Frame {index} of the list, counted from 0,"
    try:
        header = image_header(image)
    except ImageRefused as refusal:
        raise UnsupportedMedia(f"{name} {refusal}.") from refusal
    if first is not None and header != first:
        raise InvalidRequest(
            f"{name} is {_description(header)}, and frame 0 is {_description(first)}. Send frames of one kind and size."
        )
    return header


def _description(header: ImageHeader) -> str:
    kind = {"mjpeg": "a JPEG", "png": "a PNG"}[header.codec]
    return f"{kind} of {header.width_px}x{header.height_px} px"
