"""Times in texts, as clients see them. Places are half-open and count Unicode code points."""

from deployments.wire.schema import Schema
from pipeline.answers.times import times_in
from pipeline.types import Citation, TimedResult


class FoundTimeBody(Schema):
    """A time that a text gives."""

    text: str
    """As written there, with the square brackets around it."""
    time: float
    """Seconds from the first frame."""
    start: int
    """The time is `[start, stop)` of that text, counted in Unicode code points."""
    stop: int

    @classmethod
    def in_text(cls, text: str) -> list["FoundTimeBody"]:
        return [
            cls(text=time.text, time=round(time.seconds, 3), start=time.start, stop=time.stop)
            for time in times_in(text)
        ]


class CitationBody(Schema):
    """A time that the answer gives."""

    text: str
    """As written there, with the square brackets around it."""
    time: float
    """Seconds from the first frame."""
    start: int
    """The time is `[start, stop)` of aggregated_response, counted in Unicode code points."""
    stop: int
    supported: bool
    """Whether a chunk's answer gives this time, within one sampling step, or gives none while the chunk covers it."""
    chunk_index: int | None
    """The chunk whose answer supports it."""

    @classmethod
    def of(cls, citation: Citation) -> "CitationBody":
        return cls(
            text=citation.text,
            time=round(citation.seconds, 3),
            start=citation.start,
            stop=citation.stop,
            supported=citation.is_supported,
            chunk_index=citation.chunk_index,
        )


class TimedResultBody(Schema):
    """A piece of the answer, and the part of the video that it describes."""

    start_time: float
    """Seconds from the first frame."""
    end_time: float
    text: str
    """The piece without the times that mark it."""
    supported: bool
    """Whether a chunk's answer supports start_time."""
    chunk_index: int | None
    """The chunk whose answer supports it."""
    start: int | None
    """The piece is `[start, stop)` of aggregated_response, counted in Unicode code points; `null` for a chunk's
    answer."""
    stop: int | None

    @classmethod
    def of(cls, result: TimedResult) -> "TimedResultBody":
        start, stop = result.place or (None, None)
        return cls(
            start_time=round(result.start_seconds, 3),
            end_time=round(result.stop_seconds, 3),
            text=result.text,
            supported=result.is_supported,
            chunk_index=result.chunk_index,
            start=start,
            stop=stop,
        )
