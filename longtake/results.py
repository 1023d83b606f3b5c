"""What the server says, as frozen dataclasses. Times are seconds from the video's first frame.

Names are those of the HTTP API. `raw` is the JSON itself, with whatever this version has no field for.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from longtake import exports
from longtake.clock import clock
from longtake.plans import Plan, VideoInfo
from longtake.times import Citation, FoundTime, TimedResult


@dataclass(frozen=True)
class Failure:
    type: str
    message: str
    param: str | None = None


@dataclass(frozen=True)
class VideoMetadata:
    """The frames of a chunk, under the names of Qwen's `fetch_video(return_video_metadata=True)`."""

    fps: float
    """Average of the video."""
    frames_indices: tuple[int, ...]
    """Numbers of the sampled frames, counted from the video's first."""
    total_num_frames: int
    """Frames of the video."""
    video_backend: str
    frame_times: tuple[float, ...]
    """Seconds; a frame that is already on the screen when the chunk starts has the chunk's start."""


@dataclass(frozen=True)
class ChunkResult:
    """What was said of one chunk, and how long it took."""

    chunk_index: int
    start_time: float
    end_time: float
    success: bool
    response: str | None
    processing_time: float
    decode_seconds: float
    inference_seconds: float
    queue_seconds: float
    num_frames: int
    attempts: int
    error: Failure | None
    missing_frames: tuple[float, ...] = ()
    degraded: bool = False
    decoder: str | None = None
    decode_reused: bool = False
    answer_reused: bool = False
    """Whether the answer was reused from another stored analysis with the same question about this chunk."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    finish_reason: str | None = None
    video_metadata: VideoMetadata | None = field(default=None, repr=False)
    """`None` unless the request sets `include_video_metadata`."""
    times: tuple[FoundTime, ...] = ()
    """Every time in `response`, in its order; empty from a server that does not say."""


@dataclass(frozen=True)
class Coverage:
    """The parts of the requested range that were analysed, and deviations from the request."""

    requested_fps: float
    effective_fps: float
    frames_used: int
    uncovered: tuple[tuple[float, float], ...]
    failed_chunks: tuple[int, ...]
    notices: tuple[str, ...]


@dataclass(frozen=True)
class PromptTokensDetails:
    cached_tokens: int
    """Prompt tokens that the engine still had from earlier requests."""


@dataclass(frozen=True)
class Usage:
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails = PromptTokensDetails(0)


@dataclass(frozen=True)
class LikelyToken:
    """A token and its log probability."""

    token: str
    logprob: float
    bytes: tuple[int, ...]


@dataclass(frozen=True)
class WrittenToken(LikelyToken):
    """A token of the answer, and the likeliest tokens in its place."""

    top_logprobs: tuple[LikelyToken, ...]


@dataclass(frozen=True, repr=False)
class Answer:
    """The answer to a question about a video."""

    success: bool
    """Whether at least one chunk was answered."""
    model: str
    video_info: VideoInfo
    num_chunks: int
    chunk_results: tuple[ChunkResult, ...]
    aggregated_response: str | None
    aggregation_error: str | None
    merge_levels: int
    coverage: Coverage
    partial: bool
    """Whether a chunk or the merge failed."""
    total_successful_chunks: int
    total_processing_time: float
    seed: int
    usage: Usage
    notice: str | None
    """What one must know about this model."""
    finish_reason: str = "stop"
    """`stop`, or `length` if `max_tokens` cut the answer off."""
    citations: tuple[Citation, ...] = ()
    """Every time in the answer, in its order."""
    logprobs: tuple[WrittenToken, ...] | None = field(default=None, repr=False)
    """One for each token of the answer, with the option `logprobs`."""
    merge_seconds: float = 0.0
    """From the last chunk's answer to the merged one."""
    timed_results: tuple[TimedResult, ...] = ()
    """The answer by its times: each piece from its own time to the next one's. If the answer gives no time, or the
    server does not say which part describes what, one result per answered chunk."""
    raw: dict[str, Any] = field(default_factory=dict)
    """The server's JSON."""

    def __post_init__(self) -> None:
        if not self.timed_results:
            object.__setattr__(self, "timed_results", _by_chunks(self.chunk_results))

    @property
    def text(self) -> str:
        """The merged answer or, without one, the chunks' answers, each under its time."""
        if self.aggregated_response is not None:
            return self.aggregated_response
        return "\n\n".join(
            f"[{clock(chunk.start_time)} - {clock(chunk.end_time)}]\n{chunk.response}"
            for chunk in self.chunk_results
            if chunk.response is not None
        )

    @property
    def unsupported(self) -> tuple[Citation, ...]:
        """Times in the answer that no chunk's answer gives."""
        return tuple(citation for citation in self.citations if not citation.supported)

    def to_markdown(self, title: str = "Answer", *, level: int = 3) -> str:
        """Render under a heading of that level, with times as [MM:SS] and what was not looked at."""
        parts = [f"{'#' * level} {' '.join(title.split())}", self.cited_markdown()]
        if any(citation.start is not None for citation in self.unsupported):
            parts.append(f"{exports.UNSUPPORTED} No chunk's answer supports the times marked so.")
        if self.aggregation_error:
            parts.append(f"**The answers were not merged:** {self.aggregation_error}")
        parts += [
            f"**Not answered:** {exports.spans([(chunk.start_time, chunk.end_time)])}: {chunk.error.message}"
            for chunk in self.chunk_results
            if chunk.error
        ]
        coverage = self.coverage
        looked_at = (
            f"{coverage.frames_used} frames, {coverage.effective_fps:g} a second; {self.total_successful_chunks} of "
            f"{self.num_chunks} chunks; {self.total_processing_time:.1f} s; {self.model}"
        )
        return exports.document([*parts, f"*{looked_at}*", *exports.quoted([*coverage.notices, self.notice])])

    def cited_markdown(self) -> str:
        """The text with its times as [MM:SS], as a list if each of its pieces begins with one."""
        if self.aggregated_response is None:
            return self.text
        return exports.cited_markdown(self.aggregated_response, self.citations, self.timed_results)

    def to_srt(self) -> str:
        return exports.srt(self.timed_results)

    def to_vtt(self) -> str:
        return exports.vtt(self.timed_results)

    def to_csv(self) -> str:
        return exports.csv_rows([({}, self.timed_results)])

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        said = self.text if len(self.text) <= 70 else f"{self.text[:69]}…"
        return f"<Answer {said!r}, {self.total_successful_chunks} of {self.num_chunks} chunks>"

    def _repr_markdown_(self) -> str:
        return self.to_markdown()


def _by_chunks(chunk_results: tuple[ChunkResult, ...]) -> tuple[TimedResult, ...]:
    said = [(chunk, " ".join((chunk.response or "").split())) for chunk in chunk_results]
    return tuple(
        TimedResult(chunk.start_time, chunk.end_time, text, True, chunk.chunk_index) for chunk, text in said if text
    )


@dataclass(frozen=True)
class File:
    """An upload, which several questions may be asked about."""

    id: str
    bytes: int
    created_at: int
    filename: str
    purpose: str = "vision"
    expires_at: int | None = None
    """Unix time in seconds; `None` if the upload does not expire."""
    status: Literal["processed", "error"] = "processed"
    """`error` if the server cannot read its record of the upload, so that only id and size are known."""
    raw: dict[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class AnalysisProgress:
    chunks_done: int = 0
    num_chunks: int | None = None
    merging: bool = False


Status = Literal["queued", "running", "completed", "failed", "cancelled"]


@dataclass(frozen=True)
class AnalysisState:
    """A stored analysis, as the server knows it. Times are Unix time in seconds."""

    id: str
    status: Status
    created_at: int
    model: str
    prompt: str
    video: str
    """What was asked about, in words."""
    progress: AnalysisProgress = AnalysisProgress()
    updated_at: int | None = None
    started_at: int | None = None
    completed_at: int | None = None
    expires_at: int | None = None
    file_id: str | None = None
    plan: Plan | None = None
    chunk_results: tuple[ChunkResult, ...] = ()
    """Results of the chunks that are finished so far."""
    result: Answer | None = None
    error: Failure | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    raw: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def is_finished(self) -> bool:
        return self.status in ("completed", "failed", "cancelled")

    def _repr_markdown_(self) -> str:
        head = f"**{self.status}** {self.video}: {self.prompt}"
        if self.result:
            return f"{head}\n\n{self.result.to_markdown()}"
        if self.error:
            return exports.document([head, self.error.message])
        done, total = self.progress.chunks_done, self.progress.num_chunks
        return exports.document([head, f"{done} of {'?' if total is None else total} chunks"])
