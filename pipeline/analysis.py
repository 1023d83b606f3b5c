"""One analysis: its job, its events and its result."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.types import (
    NO_TRAIL,
    ChunkAnswer,
    ChunkingRequest,
    ChunkPlan,
    Citation,
    Coverage,
    Prompt,
    TimedResult,
    TokenSampling,
    TokenUsage,
    Trail,
    Turn,
    VideoSource,
    WrittenToken,
)

TURN_SECONDS = 2.0
"""Virtual delay that each further chunk adds to its analysis's arrival time, from which priorities follow."""
_PRIORITIES_PER_SECOND = 1000


@dataclass(frozen=True)
class Lease:
    """A runner's right to run a stored analysis, which no other runner holds at the same time."""

    analysis_id: str
    token: str
    """New for every lease."""


@dataclass(frozen=True)
class AnalysisJob:
    """A question about a video, validated and with all defaults filled in."""

    source: VideoSource
    prompt: Prompt
    chunking: ChunkingRequest
    token_sampling: TokenSampling
    """Token sampling of the answer."""
    chunk_token_sampling: TokenSampling
    """Token sampling of the chunk answers that are merged into it."""
    aggregate: bool
    merge_instruction: str
    asked_at: float
    """When the request arrived, in Unix time."""
    asks_for_times: bool = False
    """Whether each chunk's prompt asks for times in the form that the merge cites."""
    cache_salt: str | None = None
    """Cached frames and tokens are shared only with requests of the same salt."""
    trail: Trail = NO_TRAIL
    lease: Lease | None = None
    """The lease under which a stored analysis runs; `None` for requests that are not stored."""

    def turn(self, chunk_index: int = 0) -> Turn:
        """The engine's turn for a chunk, or for a merge.

        A merge has the priority of the first chunk. A short analysis runs before the later chunks of a longer one that
        arrived earlier, and cannot starve them: their times are fixed, and later arrivals have later times.
        """
        asked_at = self.asked_at + chunk_index * TURN_SECONDS
        return Turn(round(asked_at * _PRIORITIES_PER_SECOND), self.cache_salt)

    def is_answered_by_chunks(self, num_chunks: int) -> bool:
        """Whether the chunk answers are the result, without a merge."""
        return num_chunks == 1 or not self.aggregate

    def sampling_of_chunks(self, num_chunks: int) -> TokenSampling:
        """Token sampling of the chunk answers."""
        return self.token_sampling if self.is_answered_by_chunks(num_chunks) else self.chunk_token_sampling


@dataclass(frozen=True)
class Workload:
    """The work of each stage for a plan."""

    num_chunks: int
    source_megapixels: float
    """All pictures of the video within the chunks, sampled or not."""
    visual_tokens: int
    prompt_tokens: int
    """Upper bound over the chunks, frames included; merges not counted."""
    frame_bytes: int
    is_merged: bool


@dataclass(frozen=True)
class ExpectedSeconds:
    """How long a plan should take. A figure is None if nothing comparable was measured."""

    whole: float | None
    """From request to answer on an idle server."""
    decoding: float | None
    """Sum over the chunks, which run in parallel."""
    inference: float | None
    """Sum over the chunks, which run in parallel."""
    merging: float | None
    """0 without a merge."""
    basis: str
    """The measurement behind the figures, or why there are none, in words for the client."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """The frames and the cost of an analysis that has not run."""

    plan: ChunkPlan
    coverage: Coverage
    """The coverage if every chunk is answered."""
    work: Workload
    expected: ExpectedSeconds


@dataclass(frozen=True, eq=False)
class PlanReady:
    plan: ChunkPlan


@dataclass(frozen=True)
class ChunkDone:
    answer: ChunkAnswer
    is_recalled: bool = False
    """Whether an earlier run of the same analysis got the answer and already reported it."""


@dataclass(frozen=True)
class Progress:
    chunks_done: int
    num_chunks: int
    merging: bool = False


@dataclass(frozen=True)
class AnswerDelta:
    """The next piece of the answer to the whole analysis."""

    text: str


@dataclass(frozen=True, eq=False)
class AnalysisDone:
    plan: ChunkPlan
    chunk_answers: tuple[ChunkAnswer, ...]
    """In order of time."""
    answer: str | None
    """None if no chunk was answered, the request asked for no merge, or the merge failed."""
    answer_error: str | None
    """Why a requested answer is missing."""
    finish_reason: str
    tokens: tuple[WrittenToken, ...] | None
    """Tokens of the answer, if the request asks for log probabilities."""
    coverage: Coverage
    usage: TokenUsage
    merge_levels: int
    merge_seconds: float
    """From the last chunk's answer to the merged one; 0 without a merge."""
    total_seconds: float
    citations: tuple[Citation, ...] = ()
    """Every time that the answer gives."""
    timed_results: tuple[TimedResult, ...] = ()
    """The pieces of the answer by its times, or one result per chunk if the answer gives no time."""
    is_poisoned: bool = False
    """Whether the merge crashed replicas, so that another run must not repeat it."""

    @property
    def num_answered(self) -> int:
        return sum(answer.text is not None for answer in self.chunk_answers)

    @property
    def is_partial(self) -> bool:
        return self.num_answered < len(self.chunk_answers) or self.answer_error is not None


AnalysisEvent = PlanReady | ChunkDone | Progress | AnswerDelta | AnalysisDone
