"""RunPod's dialect: the queue of a serverless endpoint, at its own paths and below `/v2/{endpoint}`.

Jobs are stored analyses, so any replica can answer for any job, and jobs survive restarts.
"""

import asyncio
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from deployments.api.dialect_route import dialect_route
from deployments.api.documentation import json_body
from deployments.api.native import AnalysisRequest, to_store
from deployments.api.runpod_jobs import health_body, job_body, job_state, stream_items
from deployments.api.service import Service, ServiceDependency
from deployments.api.stored_analyses import create_stored_analysis
from deployments.api.video_requests import video_of
from deployments.wire.errors import error_body, error_response
from deployments.wire.request_bodies import read_json
from deployments.wire.validation import refuse_unsupported, validated
from pipeline.errors import InvalidRequest, LongtakeError
from pipeline.store import AnalysisRecord, EventKind

DEFAULT_WAIT_MILLISECONDS = 90_000
MAX_WAIT_MILLISECONDS = 300_000
"""The limits of RunPod's API. Its clients poll /status for jobs that take longer."""
READY_SECONDS = 2.0
"""RunPod's Python client times /health out after 3 s."""

_UNSUPPORTED_FIELDS = {
    "webhook": "there are no webhooks in RunPod's format; POST /v1/analyses?wait=false takes a webhook",
    "policy": "limits of single jobs are not supported",
    "s3Config": "results stay on this server; get them from /status",
}


def _plain_error(error: LongtakeError) -> JSONResponse:
    """Render an error as RunPod's clients expect it: as a plain text, with our own fields added."""
    detail = error_body(error)["error"]
    return error_response(error, {"error": detail["message"], "type": detail["type"], "param": detail["param"]})


router = APIRouter(tags=["runpod"], route_class=dialect_route(_plain_error))


class JobRequest(BaseModel):
    """A job. `input` contains the fields of `POST /v1/analyses`."""

    model_config = ConfigDict(extra="forbid")

    input: dict[str, Any] = Field(min_length=1)


def _at_both(path: str, methods: list[str], **options: Any) -> Callable[[Any], Any]:
    """Add a route at its own path, and at the path of RunPod's own server."""

    def add(function: Any) -> Any:
        router.add_api_route(path, function, methods=methods, **options)
        router.add_api_route(f"/v2/{{endpoint_id}}{path}", function, methods=methods, include_in_schema=False)
        return function

    return add


@_at_both("/run", ["POST"], openapi_extra=json_body(JobRequest))
async def run(http_request: Request, service: ServiceDependency) -> dict[str, Any]:
    """Start a job and return its id at once."""
    record = await _begin(http_request, service)
    return {"id": record.analysis_id, "status": job_state(record)}


@_at_both("/runsync", ["POST"], openapi_extra=json_body(JobRequest))
async def run_and_wait(
    http_request: Request,
    service: ServiceDependency,
    wait: Annotated[int, Query(ge=1000, le=MAX_WAIT_MILLISECONDS)] = DEFAULT_WAIT_MILLISECONDS,
) -> dict[str, Any]:
    """Start a job and wait for its end, at most `wait` milliseconds. After that it continues in the background."""
    record = await _begin(http_request, service)
    try:
        async with asyncio.timeout(wait / 1000):
            async for _ in service.feeds.listen(record.analysis_id, 0):
                pass
    except TimeoutError:
        pass
    return await _job(record.analysis_id, service)


@_at_both("/status/{job_id}", ["GET", "POST"], operation_id="runpod_status")
async def get_status(job_id: str, service: ServiceDependency) -> dict[str, Any]:
    """Return the state of a job, and its output once it is completed."""
    return await _job(job_id, service)


@_at_both("/stream/{job_id}", ["GET", "POST"], operation_id="runpod_stream")
async def poll_stream(job_id: str, service: ServiceDependency) -> dict[str, Any]:
    """Return the output since the last poll: each chunk's result, and finally the whole output."""
    # The record is read first, so that a response with a final status contains the last event.
    record = await service.analysis_store.analyses.get(job_id)
    events = await service.analysis_store.polling.take(job_id, (EventKind.CHUNK, EventKind.RESULT))
    return {"status": job_state(record), "stream": stream_items(events)}


@_at_both("/cancel/{job_id}", ["POST"])
async def cancel(job_id: str, service: ServiceDependency) -> dict[str, Any]:
    """Cancel a job that has not ended; its decoding and generation stop within a second."""
    await service.analysis_store.analyses.get(job_id)
    await service.analysis_store.analyses.cancel(job_id)
    service.wake_runner()
    return await _job(job_id, service)


@_at_both("/health", ["GET"])
async def get_health(service: ServiceDependency) -> dict[str, Any]:
    """Return the number of jobs by state, and whether the engine is ready."""
    counts, num_retried, is_ready = await asyncio.gather(
        service.analysis_store.polling.counts(),
        service.analysis_store.polling.num_retried(),
        _is_ready(service),
    )
    return health_body(counts, num_retried=num_retried, is_ready=is_ready)


async def _begin(http_request: Request, service: Service) -> AnalysisRecord:
    fields = await read_json(http_request, service.settings.sources)
    refuse_unsupported(fields, _UNSUPPORTED_FIELDS)
    supported = {name: value for name, value in fields.items() if name not in _UNSUPPORTED_FIELDS}
    given = validated(JobRequest, supported).input
    request = validated(AnalysisRequest, {name: value for name, value in given.items() if value is not None})
    if request.stream:
        raise InvalidRequest("stream is not supported in a job; leave it out, and poll /stream/{id}.", param="stream")
    return await create_stored_analysis(to_store(request, video_of(request)), None, service)


async def _job(job_id: str, service: Service) -> dict[str, Any]:
    analyses = service.analysis_store.analyses
    record = await analyses.get(job_id)
    results = await analyses.events(job_id, kinds=(EventKind.RESULT,)) if record.is_finished else []
    return job_body(record, results[0] if results else None)


async def _is_ready(service: Service) -> bool:
    try:
        async with asyncio.timeout(READY_SECONDS):
            await service.orchestrator.max_model_len()
    except (TimeoutError, LongtakeError):
        return False
    return True
