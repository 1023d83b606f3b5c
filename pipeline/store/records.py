"""What goes into the store and comes out of it. Times are Unix time in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pipeline.analysis import AnalysisJob, StoredRun


class AnalysisStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNFINISHED = (AnalysisStatus.QUEUED, AnalysisStatus.RUNNING)
FINISHED = (AnalysisStatus.COMPLETED, AnalysisStatus.FAILED, AnalysisStatus.CANCELLED)


@dataclass(frozen=True)
class AnalysisAbout:
    """What a client may be shown of what was asked."""

    prompt: str
    video: str
    """In words, without query or credentials."""
    file_id: str | None
    metadata: tuple[tuple[str, str], ...] = ()
    """The client's own names and values."""


@dataclass(frozen=True)
class StoredJob:
    """All that is needed to run an analysis, again too. Its source may hold secrets: a URL that somebody signed."""

    job: AnalysisJob
    include_video_metadata: bool = False


@dataclass(frozen=True)
class NewAnalysis:
    about: AnalysisAbout
    model: str
    """The served name of the model or adapter: by it a runner knows what it can run."""
    job: StoredJob
    owned_file_id: str | None = None
    """The upload that came with the request; it is deleted when the analysis has ended."""
    webhook_url: str | None = None


@dataclass(frozen=True)
class IdempotencyKey:
    key: str
    request_digest: str
    """Of everything that was asked."""
    keep_seconds: float


@dataclass(frozen=True)
class AnalysisRecord:
    analysis_id: str
    status: AnalysisStatus
    created_at: float
    updated_at: float
    started_at: float | None
    completed_at: float | None
    expires_at: float | None
    model: str
    about: AnalysisAbout
    chunks_done: int
    num_chunks: int | None
    merging: bool

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED


@dataclass(frozen=True)
class AnalysisPage:
    records: tuple[AnalysisRecord, ...]
    """Newest first."""
    has_more: bool


@dataclass(frozen=True)
class NewEvent:
    """Something that happened, as clients are told of it."""

    name: str
    body: str
    """JSON."""


@dataclass(frozen=True)
class StoredEvent:
    number: int
    """From 1, without gaps."""
    name: str
    body: str


@dataclass(frozen=True)
class Progress:
    chunks_done: int
    num_chunks: int
    merging: bool = False


@dataclass(frozen=True)
class ClaimedRun:
    """An analysis that is this runner's now, and what runs before this one came to."""

    record: AnalysisRecord
    job: StoredJob
    run: StoredRun
    attempts: int
    """In a row that told nothing new, this one included."""
    told_plan: bool
    told_chunks: frozenset[int]
    failed_chunks: frozenset[int]
    """Of those."""
    told_text: str
    """Of the answer."""


@dataclass(frozen=True)
class DueWebhook:
    analysis_id: str
    url: str
    status: AnalysisStatus
    attempt: int
