"""Deinterlace pictures with FFmpeg's `bwdif`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

import av
from av.filter import Graph

from pipeline.errors import DecodeFailed

TimedPicture = tuple[float, av.VideoFrame]
"""A time on the container's clock in seconds, and the picture."""


def deinterlaced(pictures: Iterable[TimedPicture]) -> Iterator[TimedPicture]:
    """The same pictures at the same times; a picture flagged as interlaced shows its first field alone.

    The filter uses the previous and the next picture, so each picture is yielded once the next one is known. All but
    the first of `pictures` come out exactly as they would in the whole video. Raises DecodeFailed if FFmpeg has no
    filter for the pictures.
    """
    # A filter reads past the end of a picture that is smaller than those it was built for.
    for shape, alike in groupby(pictures, lambda timed: _Shape.of(timed[1])):
        graph = _graph(shape)
        for _, picture in alike:
            yield from _filtered(graph, picture)
        yield from _filtered(graph, None)


@dataclass(frozen=True)
class _Shape:
    """The parameters of a filter. If the last two change midway, FFmpeg reports an error, as it does for damage."""

    width: int
    height: int
    pixel_format: str
    time_base: Fraction
    colorspace: int
    color_range: int

    @classmethod
    def of(cls, picture: av.VideoFrame) -> _Shape:
        return cls(
            picture.width,
            picture.height,
            picture.format.name,
            picture.time_base or Fraction(1),
            picture.colorspace,
            picture.color_range,
        )


def _graph(shape: _Shape) -> Graph:
    graph = Graph()
    graph.threads = 1
    try:
        source = graph.add(
            "buffer",
            video_size=f"{shape.width}x{shape.height}",
            pix_fmt=shape.pixel_format,
            time_base=str(shape.time_base),
            colorspace=str(int(shape.colorspace)),
            range=str(int(shape.color_range)),
        )
        graph.link_nodes(source, graph.add("bwdif", "mode=send_frame:deint=interlaced"), graph.add("buffersink"))
        graph.configure()
    except av.error.FFmpegError as error:
        raise DecodeFailed("FFmpeg cannot deinterlace the video") from error
    return graph


def _filtered(graph: Graph, picture: av.VideoFrame | None) -> Iterator[TimedPicture]:
    """The filter's output after the input `picture`; None flushes it."""
    try:
        graph.vpush(picture)
        while True:
            whole = graph.vpull()
            # The filter's clock ticks twice as fast as the video's.
            yield float((whole.pts or 0) * (whole.time_base or 1)), whole
    except (BlockingIOError, EOFError):  # it needs another picture, or has no more
        return
    except av.error.FFmpegError as error:
        raise DecodeFailed("FFmpeg cannot deinterlace the video") from error
