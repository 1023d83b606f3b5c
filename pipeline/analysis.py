"""One analysis: what is asked for, what happens on the way, what comes out."""

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
    TokenSampling,
    TokenUsage,
    Trail,
    Turn,
    VideoSource,
    WrittenToken,
)

TURN_SECONDS = 2.0
"""By so much later than its analysis each further chunk of it is taken to have been asked for."""
_PRIORITIES_PER_SECOND = 1000


@dataclass(frozen=True)
class Lease:
    """A runner's right to run a stored analysis, which no other runner holds at the same time."""

    analysis_id: str
    token: str
    """New for every lease."""


@dataclass(frozen=True)
class AnalysisJob:
    """A question about a video, checked and with every default filled in."""

    source: VideoSource
    prompt: Prompt
    chunking: ChunkingRequest
    token_sampling: TokenSampling
    """Of the answer."""
    chunk_token_sampling: TokenSampling
    """Of the chunk answers that are merged into it."""
    aggregate: bool
    merge_instruction: str
    asked_at: float
    """Unix time."""
    asks_for_times: bool = False
    """Whether each chunk's prompt asks for times in the form in which the merge is to cite them."""
    cache_salt: str | None = None
    """Frames and tokens kept of other questions are shared only with those of the same salt."""
    trail: Trail = NO_TRAIL
    lease: Lease | None = None
    """The lease under which a stored analysis runs; `None` for requests that are not stored."""

    def turn(self, chunk_index: int = 0) -> Turn:
        """The engine's turn for that chunk, or for a merge.

        A merge goes as the first chunk does, before whatever came later. A short analysis goes before the later chunks
        of a long one that came first, and cannot keep them waiting for ever: theirs is a fixed time, and those that
        come are later each.
        """
        asked_at = self.asked_at + chunk_index * TURN_SECONDS
        return Turn(round(asked_at * _PRIORITIES_PER_SECOND), self.cache_salt)

    def is_answered_by_chunks(self, num_chunks: int) -> bool:
        """Whether what the chunks say is the answer, and is not merged into one."""
        return num_chunks == 1 or not self.aggregate

    def sampling_of_chunks(self, num_chunks: int) -> TokenSampling:
        """How the chunk answers are written."""
        return self.token_sampling if self.is_answered_by_chunks(num_chunks) else self.chunk_token_sampling


@dataclass(frozen=True)
class Workload:
    """What a plan asks of each stage."""

    num_chunks: int
    source_megapixels: float
    """Of all pictures that the video shows in the chunks: what decoders have to do with."""
    visual_tokens: int
    prompt_tokens: int
    """At most, frames included; of the chunks, not of merges."""
    frame_bytes: int
    is_merged: bool


@dataclass(frozen=True)
class ExpectedSeconds:
    """How long a plan should take. None: nothing like it was measured."""

    whole: float | None
    """From request to answer, on a server with nothing else to do."""
    decoding: float | None
    """Summed over the chunks, which overlap."""
    inference: float | None
    """The same."""
    merging: float | None
    """0 where nothing is to be merged."""
    basis: str
    """What was measured, or why there is no figure; in words for the client."""


@dataclass(frozen=True, eq=False)
class Estimate:
    """What an analysis would look at and cost, without running it."""

    plan: ChunkPlan
    coverage: Coverage
    """Where every chunk is answered."""
    work: Workload
    expected: ExpectedSeconds


@dataclass(frozen=True, eq=False)
class PlanReady:
    plan: ChunkPlan


@dataclass(frozen=True)
class ChunkDone:
    answer: ChunkAnswer
    is_recalled: bool = False
    """Whether an earlier run of the same analysis was given the answer, and has told of it."""


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
    """None when no chunk was answered, when merging was not asked for, or when it failed."""
    answer_error: str | None
    """Why there is no answer although one was asked for."""
    finish_reason: str
    tokens: tuple[WrittenToken, ...] | None
    """Of the answer, where they were asked for."""
    coverage: Coverage
    usage: TokenUsage
    merge_levels: int
    merge_seconds: float
    """From the last chunk's answer to the merged one; 0 where nothing was merged."""
    total_seconds: float
    citations: tuple[Citation, ...] = ()
    """Every time that the answer gives."""

    @property
    def num_answered(self) -> int:
        return sum(answer.text is not None for answer in self.chunk_answers)

    @property
    def is_partial(self) -> bool:
        return self.num_answered < len(self.chunk_answers) or self.answer_error is not None


AnalysisEvent = PlanReady | ChunkDone | Progress | AnswerDelta | AnalysisDone
