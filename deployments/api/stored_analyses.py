"""Stored analyses under `/v1/analyses`: create with `wait=false`, list, get, stream events, cancel and delete."""

import asyncio
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Header, Query
from fastapi.responses import JSONResponse, StreamingResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, StringConstraints
from sse_starlette import EventSourceResponse

from deployments.api.driving import Question, open_job
from deployments.api.service import BLOCK_BYTES, Service, ServiceDependency
from deployments.api.video_sources import FormFile, public_name
from deployments.logs import current_trail
from deployments.wire.event_stream import event_stream
from deployments.wire.request_bodies import from_form
from deployments.wire.stored_bodies import (
    AnalysisListBody,
    AnalysisObjectBody,
    AnalysisSummaryBody,
    DeletedAnalysisBody,
    summary_of,
)
from deployments.wire.stored_events import event_data
from pipeline.config import StoreSettings
from pipeline.errors import InvalidRequest
from pipeline.sources import delete_if_present
from pipeline.store import (
    AnalysisAbout,
    AnalysisRecord,
    AnalysisStatus,
    EventKind,
    IdempotencyKey,
    NewAnalysis,
    StoredJob,
)
from pipeline.types import HttpUrl, StoredVideo, Trail

IDEMPOTENCY_SECONDS = 24 * 3600.0
MAX_KEY_CHARACTERS = 255
MAX_METADATA = 16
MAX_PAGE = 100
MAX_URL_CHARACTERS = 2048

router = APIRouter(tags=["analyses"])


Metadata = Annotated[
    dict[
        Annotated[str, StringConstraints(min_length=1, max_length=64)],
        Annotated[str, StringConstraints(max_length=512)],
    ],
    BeforeValidator(from_form),
]


class WebhookFields(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    url: str
    """An http or https URL. It receives a POST when the analysis has ended, signed as in Standard Webhooks."""


WebhookBody = Annotated[WebhookFields, BeforeValidator(from_form)]


@dataclass(frozen=True)
class AnalysisToStore:
    """A request with `wait=false`."""

    question: Question
    metadata: Mapping[str, str]
    webhook_url: str | None
    fields: Mapping[str, Any]
    """All fields of the request, to detect another request with the same Idempotency-Key."""


async def accept_analysis(request: AnalysisToStore, idempotency_key: str | None, service: Service) -> JSONResponse:
    """Create a stored analysis, or find the one of the Idempotency-Key, and respond with status 202."""
    record = await create_stored_analysis(request, idempotency_key, service)
    body = await _object(record, service)
    location = f"/v1/analyses/{record.analysis_id}"
    return JSONResponse(body.model_dump(mode="json"), 202, {"Location": location})


async def create_stored_analysis(
    request: AnalysisToStore, idempotency_key: str | None, service: Service
) -> AnalysisRecord:
    """Queue a stored analysis and return it, or return the one that was created with the same Idempotency-Key.

    Raises the errors of `open_job`, and IdempotencyConflict, EngineBusy and StoreFailed.
    """
    if request.webhook_url is not None:
        _check_webhook(request.webhook_url, service.settings.store)
    idempotency = await _idempotency(request, idempotency_key)
    question = request.question
    async with open_job(question, service) as opened:
        # Its spans are children of this request's span, in any process and after any number of restarts.
        job = replace(opened.job, trail=Trail(traceparent=current_trail().traceparent))
        file_id = question.video.file_id if isinstance(question.video, StoredVideo) else None
        new = NewAnalysis(
            about=AnalysisAbout(
                question.prompt.text, public_name(question.video), file_id, tuple(request.metadata.items())
            ),
            model=service.model.served_name(job.token_sampling.adapter),
            job=StoredJob(job, question.options.include_video_metadata),
            owned_file_id=opened.owned_file_id,
            webhook_url=request.webhook_url,
        )
        record, is_new = await service.analysis_store.analyses.create(new, idempotency)
        if is_new:
            opened.keep_upload()
            service.wake_runner()
    return record


@router.get("/v1/analyses")
async def list_analyses(
    service: ServiceDependency,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
    after: str | None = None,
    status: AnalysisStatus | None = None,
) -> AnalysisListBody:
    """List stored analyses, newest first. Pass the `last_id` of the previous page as `after`."""
    page = await service.analysis_store.analyses.page(limit=limit, after=after, status=status)
    return AnalysisListBody.of([summary_of(record) for record in page.records], has_more=page.has_more)


@router.get("/v1/analyses/{analysis_id}")
async def get_analysis(analysis_id: str, service: ServiceDependency) -> AnalysisObjectBody:
    """Return a stored analysis: its progress, its results so far, and its final result."""
    return await _object(await service.analysis_store.analyses.get(analysis_id), service)


@router.get("/v1/analyses/{analysis_id}/events", response_class=StreamingResponse)
async def stream_events(
    analysis_id: str,
    service: ServiceDependency,
    after: Annotated[int, Query(ge=0)] = 0,
    last_event_id: Annotated[str | None, Header()] = None,
) -> EventSourceResponse:
    """Stream the events of a stored analysis, past and future, as server-sent events.

    They are those of `stream=true`, with ids. `Last-Event-ID`, or `after`, skips the events up to that id. The stream
    ends after `answer`, `error` or `cancelled`.
    """
    if last_event_id:
        if not last_event_id.isascii() or not last_event_id.isdigit():
            raise InvalidRequest(
                f"Last-Event-ID is {last_event_id[:80]!r}; send the id of an event of this analysis.",
                param="Last-Event-ID",
            )
        after = int(last_event_id)
    await service.analysis_store.analyses.get(analysis_id)
    return event_stream(service.feeds.listen(analysis_id, after))


@router.delete("/v1/analyses/{analysis_id}")
async def cancel_or_delete_analysis(
    analysis_id: str, service: ServiceDependency
) -> AnalysisObjectBody | DeletedAnalysisBody:
    """Cancel a stored analysis that has not ended, and delete one that has."""
    analyses = service.analysis_store.analyses
    record = await analyses.get(analysis_id)
    if record.is_finished:
        owned_file_id = await analyses.delete(analysis_id)
        if owned_file_id:
            await asyncio.to_thread(delete_if_present, service.uploads, owned_file_id)
        return DeletedAnalysisBody(id=analysis_id)
    # If it completes at this moment, it is not deleted: the client meant to cancel it, not to lose a result.
    await analyses.cancel(analysis_id)
    service.wake_runner()
    return await get_analysis(analysis_id, service)


async def _object(record: AnalysisRecord, service: Service) -> AnalysisObjectBody:
    kinds = (EventKind.PLAN, EventKind.CHUNK, EventKind.RESULT)
    events = await service.analysis_store.analyses.events(record.analysis_id, kinds=kinds)
    bodies = [(event.kind, json.loads(event_data(event))) for event in events]
    latest = dict(bodies)
    chunks = {body["chunk_index"]: body for kind, body in bodies if kind == EventKind.CHUNK}
    return AnalysisObjectBody.model_validate(
        AnalysisSummaryBody.fields_of(record)
        | {
            "plan": latest.get(EventKind.PLAN),
            "chunk_results": [chunks[index] for index in sorted(chunks)],
            "result": latest.get(EventKind.RESULT),
        }
    )


def _check_webhook(url: str, settings: StoreSettings) -> None:
    """Raise InvalidRequest for anything but a plain http or https URL, and if the server has no signing secret."""
    if settings.webhook_secret is None:
        raise InvalidRequest(
            "Webhooks are off: they are signed, and the operator has not set store.webhook_secret. Leave webhook out, "
            "and poll the analysis or stream its events.",
            param="webhook",
        )
    if len(url) > MAX_URL_CHARACTERS:
        raise InvalidRequest(
            f"The webhook's URL has {len(url)} characters; at most {MAX_URL_CHARACTERS} are allowed.", param="webhook"
        )
    try:
        HttpUrl.parse(url)
    except InvalidRequest as error:
        raise InvalidRequest(f"webhook.url: {error.message}", param="webhook") from None


async def _idempotency(request: AnalysisToStore, key: str | None) -> IdempotencyKey | None:
    if key is None:
        return None
    if not 0 < len(key) <= MAX_KEY_CHARACTERS:
        raise InvalidRequest(
            f"The Idempotency-Key has {len(key)} characters; 1 to {MAX_KEY_CHARACTERS} are allowed.",
            param="Idempotency-Key",
        )
    digest = hashlib.sha256(json.dumps(request.fields, sort_keys=True).encode())
    if isinstance(request.question.video, FormFile):
        digest.update(request.question.video.name.encode(errors="surrogateescape"))
        digest.update(await asyncio.to_thread(_digest, request.question.video.content))
    return IdempotencyKey(key, digest.hexdigest(), IDEMPOTENCY_SECONDS)


def _digest(file: BinaryIO) -> bytes:
    digest = hashlib.sha256()
    while block := file.read(BLOCK_BYTES):
        digest.update(block)
    file.seek(0)
    return digest.digest()
