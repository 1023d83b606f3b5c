"""Whole pictures out of two fields each, by FFmpeg's `bwdif`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

import av
from av.filter import Graph

from pipeline.errors import DecodeFailed

TimedPicture = tuple[float, av.VideoFrame]
"""With its time on the container's clock, in seconds."""


def deinterlaced(pictures: Iterable[TimedPicture]) -> Iterator[TimedPicture]:
    """The same pictures at the same times; those that are marked as interlaced show their first field alone.

    Each is made with a look at the one before and the one after it, so it comes when the next one is known: exactly as
    in the whole video if it is not the first of `pictures`. Raises DecodeFailed where FFmpeg has no filter for them.
    """
    # A filter reads past the end of a picture that is smaller than those it was made for.
    for shape, alike in groupby(pictures, lambda timed: _Shape.of(timed[1])):
        graph = _graph(shape)
        for _, picture in alike:
            yield from _passed_through(graph, picture)
        yield from _passed_through(graph, None)


@dataclass(frozen=True)
class _Shape:
    """What a filter is made for; where the last two change, FFmpeg complains as it does of damage."""

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


def _passed_through(graph: Graph, picture: av.VideoFrame | None) -> Iterator[TimedPicture]:
    """What comes out once `picture` is in; with None, the rest."""
    try:
        graph.vpush(picture)
        while True:
            whole = graph.vpull()
            # The filter's clock ticks twice as fast as the video's.
            yield float((whole.pts or 0) * (whole.time_base or 1)), whole
    except (BlockingIOError, EOFError):  # it wants another picture, or has no more
        return
    except av.error.FFmpegError as error:
        raise DecodeFailed("FFmpeg cannot deinterlace the video") from error
