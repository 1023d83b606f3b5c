"""Stored analyses as clients see them."""

import json
from collections.abc import Mapping
from typing import Any, Literal, Self

from deployments.wire.errors import ErrorDetail
from deployments.wire.result_bodies import AnalysisBody, ChunkResultBody, PlanBody
from deployments.wire.schema import Schema
from pipeline.store import AnalysisRecord, AnalysisStatus, AnalysisStore, EventNames


class ProgressBody(Schema):
    chunks_done: int
    num_chunks: int | None
    """Once it is planned."""
    merging: bool


class AnalysisSummaryBody(Schema):
    """A stored analysis, as lists have it. Times are Unix time in seconds."""

    id: str
    object: Literal["analysis"] = "analysis"
    status: AnalysisStatus
    created_at: int
    updated_at: int
    started_at: int | None
    completed_at: int | None
    expires_at: int | None
    """When it is deleted; once it has ended."""
    model: str
    prompt: str
    video: str
    """What was asked about: a file's name or id, a path, or a URL without its query."""
    file_id: str | None
    progress: ProgressBody
    error: ErrorDetail | None
    """Why it failed."""
    metadata: dict[str, str]

    @classmethod
    def fields_of(cls, record: AnalysisRecord, error: Mapping[str, Any] | None) -> dict[str, Any]:
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
            "error": error,
            "metadata": dict(record.about.metadata),
        }


class AnalysisObjectBody(AnalysisSummaryBody):
    """A stored analysis, and what came of it so far."""

    plan: PlanBody | None
    chunk_results: list[ChunkResultBody]
    """Those that are there, in order of time."""
    result: AnalysisBody | None
    """Once it is completed: what a request that waits gets."""


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


def summary_of(record: AnalysisRecord, store: AnalysisStore) -> AnalysisSummaryBody:
    """Raises StoreFailed."""
    error = None
    if record.status == AnalysisStatus.FAILED:
        events = store.analyses.events(record.analysis_id, names=(EventNames.ERROR,))
        error = next((json.loads(event.body)["error"] for event in events), None)
    return AnalysisSummaryBody.model_validate(AnalysisSummaryBody.fields_of(record, error))


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)
