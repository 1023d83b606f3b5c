"""Times in texts, as the server recognised them. Places are half-open, in Unicode code points, as Python counts."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FoundTime:
    """A time that a text gives."""

    text: str
    """The time as written there."""
    time: float
    """Seconds from the video's first frame."""
    start: int
    """The time is `[start, stop)` of its text."""
    stop: int


@dataclass(frozen=True)
class Citation:
    """A time that the answer gives."""

    text: str
    """The time as written in the answer."""
    time: float
    """Seconds from the video's first frame."""
    supported: bool
    """Whether a chunk's answer gives that time too."""
    chunk_index: int | None
    """That chunk."""
    start: int | None = None
    """The time is `[start, stop)` of the answer; `None` from a server that does not say where times stand."""
    stop: int | None = None


@dataclass(frozen=True)
class TimedResult:
    """A piece of the answer, and the part of the video that it describes."""

    start_time: float
    end_time: float
    text: str
    """The piece without the times that mark it."""
    supported: bool
    """Whether a chunk's answer gives `start_time` too."""
    chunk_index: int | None
    """That chunk."""
    start: int | None = None
    """The piece is `[start, stop)` of the answer; `None` for a chunk's answer, used if the answer gives no time."""
    stop: int | None = None
