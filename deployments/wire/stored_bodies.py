"""Stored analyses as clients see them."""

from typing import Any, Literal, Self

from deployments.wire.errors import ErrorDetail
from deployments.wire.plan_bodies import PlanBody
from deployments.wire.result_bodies import AnalysisBody, ChunkResultBody
from deployments.wire.schema import Schema
from deployments.wire.stored_events import error_detail
from pipeline.store import AnalysisRecord, AnalysisStatus


class ProgressBody(Schema):
    chunks_done: int
    num_chunks: int | None
    """`None` until the analysis is planned."""
    merging: bool


class AnalysisSummaryBody(Schema):
    """A stored analysis without its results. Times are Unix time in seconds."""

    id: str
    object: Literal["analysis"] = "analysis"
    status: AnalysisStatus
    created_at: int
    updated_at: int
    started_at: int | None
    completed_at: int | None
    expires_at: int | None
    """When it is deleted; `None` until it has ended."""
    model: str
    prompt: str
    video: str
    """The video: a file's name or id, a path, or a URL without its query."""
    file_id: str | None
    progress: ProgressBody
    error: ErrorDetail | None
    """Why it failed."""
    metadata: dict[str, str]

    @classmethod
    def fields_of(cls, record: AnalysisRecord) -> dict[str, Any]:
        return {
            "id": record.analysis_id,
            "status": record.status,
            "created_at": int(record.created_at),
            "updated_at": int(record.updated_at),
            "started_at": _whole(record.started_at),
            "completed_at": _whole(record.completed_at),
            "expires_at": _whole(record.expires_at),
            "model": record.model,
            "prompt": record.about.prompt,
            "video": record.about.video,
            "file_id": record.about.file_id,
            "progress": {
                "chunks_done": record.chunks_done,
                "num_chunks": record.num_chunks,
                "merging": record.merging,
            },
            "error": error_detail(record.failure).model_dump() if record.failure else None,
            "metadata": dict(record.about.metadata),
        }


class AnalysisObjectBody(AnalysisSummaryBody):
    """A stored analysis with its results so far."""

    plan: PlanBody | None
    chunk_results: list[ChunkResultBody]
    """The results so far, in order of time."""
    result: AnalysisBody | None
    """The response that a request without `wait=false` receives; `None` until the analysis is completed."""


class AnalysisListBody(Schema):
    object: Literal["list"] = "list"
    data: list[AnalysisSummaryBody]
    """Newest first."""
    first_id: str | None
    last_id: str | None
    has_more: bool

    @classmethod
    def of(cls, data: list[AnalysisSummaryBody], *, has_more: bool) -> Self:
        first_id, last_id = (data[0].id, data[-1].id) if data else (None, None)
        return cls(data=data, first_id=first_id, last_id=last_id, has_more=has_more)


class DeletedAnalysisBody(Schema):
    id: str
    object: Literal["analysis"] = "analysis"
    deleted: Literal[True] = True


def summary_of(record: AnalysisRecord) -> AnalysisSummaryBody:
    return AnalysisSummaryBody.model_validate(AnalysisSummaryBody.fields_of(record))


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)
