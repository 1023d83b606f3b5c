"""Longtake's own dialect: `POST /v1/analyses`."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse
from pydantic import Field, ValidationError
from starlette.datastructures import UploadFile

from deployments.api.documentation import json_or_form_body
from deployments.api.options import AnalysisOptions
from deployments.api.requested_video import FormFile, RequestedVideo, requested_video
from deployments.api.service import Service, ServiceDependency
from deployments.api.stored import (
    MAX_METADATA,
    AnalysisToStore,
    Metadata,
    WebhookBody,
    store_analysis,
)
from deployments.logs import logger
from deployments.wire.errors import error_body, invalid_request
from deployments.wire.event_bodies import EventBodies
from deployments.wire.event_stream import event, event_stream
from deployments.wire.request_bodies import is_multipart, read_form, read_json, uploaded_file
from deployments.wire.result_bodies import AnalysisBody
from deployments.wire.stored_bodies import AnalysisObjectBody
from pipeline.analysis import AnalysisDone, AnalysisEvent
from pipeline.config import SourceSettings
from pipeline.errors import InvalidRequest
from pipeline.types import Prompt

router = APIRouter(tags=["analyses"])


class VideoRequest(AnalysisOptions):
    """A video, named in a JSON body, or in a multipart form that may hold it as a file; and how to look at it."""

    video_url: str | None = None
    """http, https, s3 or data (base64); or a list of images, `data:video/jpeg;base64,` with commas between them."""
    video_path: str | None = None
    """A file on the server, below one of its media roots."""
    file_id: str | None = None
    """An upload to /v1/files."""


class AnalysisRequest(VideoRequest):
    """Fields of `POST /v1/analyses`."""

    prompt: str
    """What to find out about the video."""
    stream: bool = False
    """Whether to answer with server-sent events as things happen."""
    metadata: Metadata = Field(default_factory=dict, max_length=MAX_METADATA)
    """Names and values of the client's own, given back with the analysis. With wait=false."""
    webhook: WebhookBody | None = None
    """Where to tell that the analysis has ended. With wait=false, and where the operator has set a secret."""


RequestT = TypeVar("RequestT", bound=VideoRequest)


@router.post(
    "/v1/analyses",
    response_model=AnalysisBody,
    responses={202: {"model": AnalysisObjectBody, "description": "With wait=false: it is stored, and will be run."}},
    openapi_extra=json_or_form_body(AnalysisRequest, "video"),
)
async def create_analysis(
    http_request: Request,
    service: ServiceDependency,
    wait: bool = True,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Any:
    """Answers a prompt about a video of any length: in this response, or, with `wait=false`, when it is asked for."""
    async with AsyncExitStack() as resources:
        request, video = await read_request(http_request, AnalysisRequest, service.settings.sources, resources)
        service.model.adapter(request.model)  # before an upload is kept
        if not wait:
            return await _store(request, video, idempotency_key, service)
        _check_waits(request, idempotency_key)
        source = await resources.enter_async_context(service.source(video))
        job = request.job(source, Prompt(request.prompt), service.model)
        events = service.orchestrator.analyze(job)
        plan = await anext(events)  # what is wrong with the video shows here, before an answer is begun
        if request.stream:
            bodies = EventBodies(job, service.model, request.include_video_metadata)
            return event_stream(_stream(plan, events, bodies, resources.pop_all()))
        async for done in events:
            if isinstance(done, AnalysisDone):
                return AnalysisBody.of(
                    done,
                    service.model,
                    job.token_sampling,
                    include_video_metadata=request.include_video_metadata,
                )
    raise AssertionError("an analysis ends with AnalysisDone")


async def _store(
    request: AnalysisRequest, video: RequestedVideo, idempotency_key: str | None, service: Service
) -> JSONResponse:
    if request.stream:
        raise InvalidRequest(
            "stream is given with wait=false; leave it out, and read the events at /v1/analyses/{id}/events.",
            param="stream",
        )
    return await store_analysis(to_store(request, video, service), idempotency_key, service)


def to_store(request: AnalysisRequest, video: RequestedVideo, service: Service) -> AnalysisToStore:
    fields = request.model_dump(mode="json")
    return AnalysisToStore(
        video=video,
        job=lambda source: request.job(source, Prompt(request.prompt), service.model),
        prompt=request.prompt,
        include_video_metadata=request.include_video_metadata,
        metadata=request.metadata,
        webhook_url=request.webhook.url if request.webhook else None,
        fields=fields,
    )


def _check_waits(request: AnalysisRequest, idempotency_key: str | None) -> None:
    """Raises InvalidRequest for what only stored analyses have, and would be lost without a word."""
    given = {
        "Idempotency-Key": idempotency_key is not None,
        "metadata": bool(request.metadata),
        "webhook": request.webhook is not None,
    }
    for name, is_given in given.items():
        if is_given:
            raise InvalidRequest(f"{name} goes with stored analyses; ask with wait=false, or leave it out.", param=name)


async def read_request(
    http_request: Request, fields: type[RequestT], settings: SourceSettings, resources: AsyncExitStack
) -> tuple[RequestT, RequestedVideo]:
    """The request, which has these fields, and its video; an uploaded file stays open as long as `resources`.

    Raises InvalidRequest, SourceTooLarge.
    """
    if not is_multipart(http_request):
        request = _validated(fields, await read_json(http_request, settings))
        return request, video_of(request)
    form = await resources.enter_async_context(read_form(http_request, settings))
    request = _validated(fields, {name: value for name, value in form.items() if isinstance(value, str)})
    return request, video_of(request, uploaded_file(form))


def _validated(fields: type[RequestT], values: dict[str, Any]) -> RequestT:
    try:
        return fields.model_validate(values)
    except ValidationError as error:
        raise invalid_request(error, allowed=sorted(fields.model_fields)) from None


def video_of(request: VideoRequest, upload: UploadFile | None = None) -> RequestedVideo:
    """The one video that the request names, or that its form holds. Raises InvalidRequest."""
    return requested_video(
        url=request.video_url,
        path=request.video_path,
        file_id=request.file_id,
        upload=FormFile(upload.file, upload.filename or "upload") if upload else None,
        sample_fps=request.sample_fps,
    )


async def _stream(
    plan: AnalysisEvent, rest: AsyncIterator[AnalysisEvent], bodies: EventBodies, resources: AsyncExitStack
) -> AsyncIterator[str]:
    def told(happened: AnalysisEvent) -> str:
        name, body = bodies.of(happened)
        return event(body, name)

    async with resources:
        yield told(plan)
        try:
            async for happened in rest:
                yield told(happened)
        except Exception as error:
            logger.exception("an analysis failed after its plan")
            yield event(error_body(error), "error")
