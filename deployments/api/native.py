"""Longtake's own dialect: `POST /v1/analyses`."""

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse
from pydantic import Field

from deployments.api.documentation import json_or_form_body
from deployments.api.driving import Question, answer
from deployments.api.service import Service, ServiceDependency
from deployments.api.stored_analyses import (
    MAX_METADATA,
    AnalysisToStore,
    Metadata,
    WebhookBody,
    accept_analysis,
)
from deployments.api.video_requests import VideoRequest, read_request
from deployments.api.video_sources import RequestedVideo
from deployments.model_choice import ModelChoice
from deployments.wire.errors import error_body
from deployments.wire.event_bodies import EventBodies
from deployments.wire.event_stream import event
from deployments.wire.result_bodies import AnalysisBody
from deployments.wire.stored_bodies import AnalysisObjectBody
from pipeline.analysis import AnalysisDone, AnalysisEvent, AnalysisJob
from pipeline.errors import InvalidRequest
from pipeline.types import Prompt

router = APIRouter(tags=["analyses"])


class AnalysisRequest(VideoRequest):
    """Fields of `POST /v1/analyses`."""

    prompt: str
    """The question about the video."""
    stream: bool = False
    """Whether to respond with server-sent events while the analysis runs."""
    metadata: Metadata = Field(default_factory=dict, max_length=MAX_METADATA)
    """The client's own names and values, returned with the analysis. Requires wait=false."""
    webhook: WebhookBody | None = None
    """Receiver of a webhook at the end of the analysis. Requires wait=false, and a secret set by the operator."""


@router.post(
    "/v1/analyses",
    response_model=AnalysisBody,
    responses={202: {"model": AnalysisObjectBody, "description": "With wait=false: stored, and run later."}},
    openapi_extra=json_or_form_body(AnalysisRequest, "video"),
)
async def create_analysis(
    http_request: Request,
    service: ServiceDependency,
    wait: bool = True,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Any:
    """Answer a prompt about a video of any length. With `wait=false`, store the analysis and return its id at once."""
    async with read_request(http_request, AnalysisRequest, service.settings.sources) as (request, video):
        if not wait:
            return await _store(request, video, idempotency_key, service)
        _refuse_options_of_stored_analyses(request, idempotency_key)
        question = Question(video, Prompt(request.prompt), request)
        return await answer(
            question, service, lambda job: _NativeReply(job, service.model, request), stream=request.stream
        )


class _NativeReply:
    def __init__(self, job: AnalysisJob, model: ModelChoice, request: AnalysisRequest) -> None:
        self._job = job
        self._model = model
        self._include_video_metadata = request.include_video_metadata
        self._bodies = EventBodies(job, model, request.include_video_metadata)

    def body(self, done: AnalysisDone) -> AnalysisBody:
        return AnalysisBody.of(
            done, self._model, self._job.token_sampling, include_video_metadata=self._include_video_metadata
        )

    def events(self, happened: AnalysisEvent) -> Iterable[bytes]:
        name, body = self._bodies.of(happened)
        yield event(body, name)

    def failure(self, error: Exception) -> Iterable[bytes]:
        yield event(error_body(error), "error")


async def _store(
    request: AnalysisRequest, video: RequestedVideo, idempotency_key: str | None, service: Service
) -> JSONResponse:
    if request.stream:
        raise InvalidRequest(
            "stream is given with wait=false; leave it out, and read the events at /v1/analyses/{id}/events.",
            param="stream",
        )
    return await accept_analysis(to_store(request, video), idempotency_key, service)


def to_store(request: AnalysisRequest, video: RequestedVideo) -> AnalysisToStore:
    return AnalysisToStore(
        question=Question(video, Prompt(request.prompt), request),
        metadata=request.metadata,
        webhook_url=request.webhook.url if request.webhook else None,
        fields=request.model_dump(mode="json"),
    )


def _refuse_options_of_stored_analyses(request: AnalysisRequest, idempotency_key: str | None) -> None:
    given = {
        "Idempotency-Key": idempotency_key is not None,
        "metadata": bool(request.metadata),
        "webhook": request.webhook is not None,
    }
    for name, is_given in given.items():
        if is_given:
            raise InvalidRequest(f"{name} requires a stored analysis; add wait=false, or leave it out.", param=name)
