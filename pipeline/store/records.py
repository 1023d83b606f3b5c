"""The store's input and output types. Times are Unix time in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pipeline.analysis import AnalysisJob, Lease


class AnalysisStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


UNFINISHED = (AnalysisStatus.QUEUED, AnalysisStatus.RUNNING)
FINISHED = (AnalysisStatus.COMPLETED, AnalysisStatus.FAILED, AnalysisStatus.CANCELLED)


class EventKind(StrEnum):
    """What an event reports. The values are those of the database, not names that clients see."""

    PLAN = "plan"
    CHUNK = "chunk"
    PROGRESS = "progress"
    TEXT = "text"
    """The next piece of the text of the answer."""
    RESULT = "result"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_last(self) -> bool:
        """Whether no event follows one of this kind."""
        return self in (EventKind.RESULT, EventKind.FAILED, EventKind.CANCELLED)


@dataclass(frozen=True)
class AnalysisAbout:
    """The part of a request that clients may see."""

    prompt: str
    video: str
    """A description of the video, without query or credentials."""
    file_id: str | None
    metadata: tuple[tuple[str, str], ...] = ()
    """The client's own names and values."""


@dataclass(frozen=True)
class StoredJob:
    """Everything needed to run an analysis again. Its source may hold secrets, such as a signed URL."""

    job: AnalysisJob
    include_video_metadata: bool = False


@dataclass(frozen=True)
class AnalysisFailure:
    """Why an analysis failed."""

    type: str
    """The error's type name, as of `pipeline.errors`."""
    message: str
    param: str | None = None
    """The request field at fault, if it was one."""


@dataclass(frozen=True)
class NewAnalysis:
    about: AnalysisAbout
    model: str
    """The served name of the model or adapter; runners claim analyses by it."""
    job: StoredJob
    owned_file_id: str | None = None
    """The upload that came with the request; it is deleted once the analysis has ended."""
    webhook_url: str | None = None


@dataclass(frozen=True)
class IdempotencyKey:
    key: str
    request_digest: str
    """A digest of the whole request."""
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
    failure: AnalysisFailure | None = None
    """Set once the status is `failed`, and if the record cannot be read."""

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
    """An event to append."""

    kind: EventKind
    body: str | None = None
    """What clients receive, in a format that only they and the caller know."""
    chunk_index: int | None = None
    """The chunk of a `CHUNK` event."""
    chunk_failed: bool | None = None
    """Whether the chunk of a `CHUNK` event has no answer."""
    text: str | None = None
    """The piece of the answer in a `TEXT` event, which needs no body."""


@dataclass(frozen=True)
class StoredEvent:
    number: int
    """From 1, without gaps."""
    kind: EventKind
    body: str | None = None
    text: str | None = None
    failure: AnalysisFailure | None = None
    """Why the analysis failed; set on `FAILED` events."""


@dataclass(frozen=True)
class ClaimedAnalysis:
    """An analysis that a runner has just leased, and what earlier runs stored of it."""

    record: AnalysisRecord
    job: StoredJob
    lease: Lease
    attempts: int
    """Runs in a row without a new chunk, including this one."""
    has_plan: bool
    stored_chunks: frozenset[int]
    """Indices of the chunks with an event, failed ones included."""
    failed_chunks: frozenset[int]
    """Indices of the chunks whose latest event is a failure."""
    stored_text: str
    """The answer's text so far."""


@dataclass(frozen=True)
class DueWebhook:
    analysis_id: str
    url: str
    status: AnalysisStatus
    attempt: int
    """From 1."""
