"""RunPod's dialect: the queue of a serverless endpoint, at its own paths and below `/v2/{endpoint}`.

Jobs are stored analyses, so that any replica answers for any of them, and they outlive all.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deployments.api.documentation import json_body
from deployments.api.native import AnalysisRequest, to_store, video_of
from deployments.api.runpod_jobs import health_body, job_body, job_state, stream_items
from deployments.api.service import Service, ServiceDependency
from deployments.api.stored import keep_analysis
from deployments.wire.errors import error_response, invalid_request
from deployments.wire.request_bodies import read_json
from pipeline.errors import InvalidRequest, LongtakeError
from pipeline.store import AnalysisRecord, EventKind

DEFAULT_WAIT_MILLISECONDS = 90_000
MAX_WAIT_MILLISECONDS = 300_000
"""As in RunPod's API. What takes longer is asked about with /status, as its clients do by themselves."""
READY_SECONDS = 2.0
"""Its Python client gives /health 3 s."""

_UNSUPPORTED_FIELDS = {
    "webhook": "jobs are told to nobody in RunPod's words; POST /v1/analyses?wait=false takes a webhook",
    "policy": "jobs have no limits of their own here",
    "s3Config": "results are kept here; ask for them with /status",
}


class RunPodRoute(APIRoute):
    """Errors are plain texts, as RunPod's clients expect them, with ours beside them."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def plain(request: Request) -> Response:
            try:
                return await handle(request)
            except LongtakeError as error:
                status = error_response(error).status_code
                body = {"error": error.message, "type": error.type_name(), "param": error.param}
                return JSONResponse(body, status)

        return plain


router = APIRouter(tags=["runpod"], route_class=RunPodRoute)


class JobRequest(BaseModel):
    """A job; `input` has the fields of `POST /v1/analyses`."""

    model_config = ConfigDict(extra="forbid")

    input: dict[str, Any] = Field(min_length=1)


def _at_both(path: str, methods: list[str], **options: Any) -> Callable[[Any], Any]:
    """A route at its own path, and where RunPod's own server has it."""

    def add(function: Any) -> Any:
        router.add_api_route(path, function, methods=methods, **options)
        router.add_api_route(f"/v2/{{endpoint_id}}{path}", function, methods=methods, include_in_schema=False)
        return function

    return add


@_at_both("/run", ["POST"], openapi_extra=json_body(JobRequest))
async def run(http_request: Request, service: ServiceDependency) -> dict[str, Any]:
    """Begins a job, and says at once by which id it is asked about."""
    record = await _begin(http_request, service)
    return {"id": record.analysis_id, "status": job_state(record)}


@_at_both("/runsync", ["POST"], openapi_extra=json_body(JobRequest))
async def run_and_wait(
    http_request: Request,
    service: ServiceDependency,
    wait: Annotated[int, Query(ge=1000, le=MAX_WAIT_MILLISECONDS)] = DEFAULT_WAIT_MILLISECONDS,
) -> dict[str, Any]:
    """Begins a job and waits for its end, `wait` milliseconds at most; it goes on after that."""
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
    """How far a job is, and its output once it is done."""
    return await _job(job_id, service)


@_at_both("/stream/{job_id}", ["GET", "POST"], operation_id="runpod_stream")
async def poll_stream(job_id: str, service: ServiceDependency) -> dict[str, Any]:
    """Return the output since the last poll: each chunk's result, and finally the whole output."""
    # The record first, so that a finished status comes with the last event, never before it.
    record = await service.analysis_store.analyses.get(job_id)
    events = await service.analysis_store.polling.take(job_id, (EventKind.CHUNK, EventKind.RESULT))
    return {"status": job_state(record), "stream": stream_items(events)}


@_at_both("/cancel/{job_id}", ["POST"])
async def cancel(job_id: str, service: ServiceDependency) -> dict[str, Any]:
    """Ends a job that has not ended; its decoding and generation stop within a second."""
    await service.analysis_store.analyses.get(job_id)
    await service.analysis_store.analyses.cancel(job_id)
    service.wake_runner()
    return await _job(job_id, service)


@_at_both("/health", ["GET"])
async def get_health(service: ServiceDependency) -> dict[str, Any]:
    """How many jobs there are, and whether the engine is up."""
    counts, num_retried, is_ready = await asyncio.gather(
        service.analysis_store.polling.counts(),
        service.analysis_store.polling.num_retried(),
        _is_ready(service),
    )
    return health_body(counts, num_retried=num_retried, is_ready=is_ready)


async def _begin(http_request: Request, service: Service) -> AnalysisRecord:
    fields = await read_json(http_request, service.settings.sources)
    for name, reason in _UNSUPPORTED_FIELDS.items():
        if fields.pop(name, None):
            raise InvalidRequest(f"{name} is given and {reason}; leave it out.", param=name)
    try:
        given = JobRequest.model_validate(fields).input
    except ValidationError as error:
        raise invalid_request(error, allowed=["input"]) from None
    try:
        request = AnalysisRequest.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise invalid_request(error, allowed=sorted(AnalysisRequest.model_fields)) from None
    if request.stream:
        raise InvalidRequest("stream is given; leave it out, and ask /stream/{id} for what came.", param="stream")
    service.model.adapter(request.model)  # before an upload is kept
    return await keep_analysis(to_store(request, video_of(request), service), None, service)


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
