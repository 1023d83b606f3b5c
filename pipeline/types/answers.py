"""Answers about chunks and about the whole video."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pipeline.types.frames import DecodeReport
from pipeline.types.texts import Generation


@dataclass(frozen=True)
class ChunkText:
    """The text about a chunk, and how its frames were decoded."""

    generation: Generation
    decode: DecodeReport


@dataclass(frozen=True)
class ChunkFailure:
    """Why a chunk has no answer, in words for the client."""

    type: str
    message: str


@dataclass(frozen=True)
class ChunkAnswer:
    """The outcome of one chunk: a text, or a failure."""

    chunk_index: int
    start_seconds: float
    stop_seconds: float
    processing_seconds: float
    """From the chunk's admission to the window until its answer, retries included."""
    attempts: int
    text: ChunkText | None
    failure: ChunkFailure | None
    is_reused: bool = False
    """Whether it was copied from an earlier analysis with the same request, at no cost."""

    def reused(self) -> ChunkAnswer:
        """A copy for another analysis."""
        if self.text is None:
            return replace(self, is_reused=True, processing_seconds=0.0)
        text = ChunkText(
            replace(self.text.generation, inference_seconds=0.0), replace(self.text.decode, decode_seconds=0.0)
        )
        return replace(self, is_reused=True, processing_seconds=0.0, text=text)

    @property
    def queue_seconds(self) -> float:
        """Time spent outside decoding and inference: waiting for a replica, in transfer, in lost attempts."""
        if self.text is None:
            return 0.0
        busy_seconds = self.text.decode.decode_seconds + self.text.generation.inference_seconds
        return max(0.0, self.processing_seconds - busy_seconds)


@dataclass(frozen=True)
class Note:
    """Text about a part of the video, to be merged with others."""

    start_seconds: float
    stop_seconds: float
    text: str


@dataclass(frozen=True)
class Citation:
    """A time that the answer gives, at `[start, stop)` of its text, counted in Unicode code points."""

    text: str
    """As written in the answer."""
    seconds: float
    start: int
    stop: int
    chunk_index: int | None
    """The chunk whose answer supports it; `None` if none does."""

    @property
    def is_supported(self) -> bool:
        return self.chunk_index is not None


@dataclass(frozen=True)
class TimedResult:
    """A piece of the answer, and the part of the video that it describes."""

    start_seconds: float
    stop_seconds: float
    text: str
    """The piece without the times that mark it."""
    chunk_index: int | None
    """The chunk whose answer supports `start_seconds`; `None` if none does."""
    place: tuple[int, int] | None
    """`[start, stop)` in the answer, in Unicode code points; `None` for a chunk's answer, used if the answer gives no
    time."""

    @property
    def is_supported(self) -> bool:
        return self.chunk_index is not None


@dataclass(frozen=True)
class Coverage:
    """The parts of the requested range that were analysed, and deviations from the request."""

    requested_fps: float
    effective_fps: float
    """Frames used per second of the chunks that were answered; 0 if none was."""
    frames_used: int
    uncovered: tuple[tuple[float, float], ...]
    """Parts of the requested range that no answered chunk covers."""
    failed_chunks: tuple[int, ...]
    notices: tuple[str, ...] = field(default=())
