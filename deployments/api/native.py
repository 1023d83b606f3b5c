"""Longtake's own dialect: `POST /v1/analyses`."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.datastructures import UploadFile

from deployments.api.bodies import is_multipart, read_form, read_json, uploaded_file
from deployments.api.documentation import json_or_form_body
from deployments.api.errors import error_body, invalid_request
from deployments.api.options import AnalysisOptions
from deployments.api.schemas import AnalysisBody, ChunkResultBody, PlanBody
from deployments.api.service import ServiceDependency, VideoInput
from deployments.api.streaming import event, event_stream
from deployments.model_choice import ModelChoice
from pipeline.analysis import (
    AnalysisDone,
    AnalysisEvent,
    AnalysisJob,
    AnswerDelta,
    ChunkDone,
    PlanReady,
    Progress,
)
from pipeline.config import SourceSettings
from pipeline.errors import InvalidRequest
from pipeline.types import ChunkPlan, Prompt

logger = logging.getLogger("ray.serve")

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


RequestT = TypeVar("RequestT", bound=VideoRequest)


@router.post("/v1/analyses", response_model=AnalysisBody, openapi_extra=json_or_form_body(AnalysisRequest, "video"))
async def create_analysis(http_request: Request, service: ServiceDependency) -> Any:
    """Answers a prompt about a video of any length."""
    async with AsyncExitStack() as resources:
        request, video = await read_request(http_request, AnalysisRequest, service.settings.sources, resources)
        service.model.adapter(request.model)  # before an upload is kept
        source = await resources.enter_async_context(service.source(video))
        job = request.job(source, Prompt(request.prompt), service.model)
        events = service.orchestrator.analyze(job)
        plan = await anext(events)  # what is wrong with the video shows here, before an answer is begun
        if request.stream:
            assert isinstance(plan, PlanReady), "an analysis begins with its plan"
            wire = _Wire(job, service.model, plan.plan if request.include_video_metadata else None)
            return event_stream(_stream(plan, events, wire, resources.pop_all()))
        async for done in events:
            if isinstance(done, AnalysisDone):
                return AnalysisBody.of(
                    done,
                    service.model,
                    job.token_sampling,
                    include_video_metadata=request.include_video_metadata,
                )
    raise AssertionError("an analysis ends with AnalysisDone")


async def read_request(
    http_request: Request, fields: type[RequestT], settings: SourceSettings, resources: AsyncExitStack
) -> tuple[RequestT, VideoInput]:
    """The request, which has these fields, and its video; an uploaded file stays open as long as `resources`.

    Raises InvalidRequest, SourceTooLarge.
    """
    if not is_multipart(http_request):
        request = _validated(fields, await read_json(http_request, settings))
        return request, _only_video(request, None)
    form = await resources.enter_async_context(read_form(http_request, settings))
    request = _validated(fields, {name: value for name, value in form.items() if isinstance(value, str)})
    return request, _only_video(request, uploaded_file(form))


def _validated(fields: type[RequestT], values: dict[str, Any]) -> RequestT:
    try:
        return fields.model_validate(values)
    except ValidationError as error:
        raise invalid_request(error, allowed=sorted(fields.model_fields)) from None


def _only_video(request: VideoRequest, upload: UploadFile | None) -> VideoInput:
    video = VideoInput(
        url=request.video_url,
        path=request.video_path,
        file_id=request.file_id,
        upload=(upload.file, upload.filename or "upload") if upload else None,
        sample_fps=request.sample_fps,
    )
    if video.num_given > 1:
        raise InvalidRequest(
            "More than one video is given; give one of video_url, video_path, file_id and an uploaded file.",
            param="video_url",
        )
    return video


@dataclass(frozen=True, eq=False)
class _Wire:
    """How the events of one analysis are told."""

    job: AnalysisJob
    model: ModelChoice
    described_plan: ChunkPlan | None
    """Where each chunk's result is to say which frames were looked at."""

    def event(self, happened: AnalysisEvent) -> str:
        match happened:
            case PlanReady(plan):
                return event(PlanBody.of(plan).model_dump(), "plan")
            case ChunkDone(answer):
                return event(ChunkResultBody.of(answer, self.described_plan).model_dump(), "chunk")
            case Progress(chunks_done, chunks_total, merging):
                stage = "merging" if merging else "chunks"
                return event({"stage": stage, "chunks_done": chunks_done, "num_chunks": chunks_total}, "progress")
            case AnswerDelta(text):
                return event({"text": text}, "delta")
            case AnalysisDone():
                is_described = self.described_plan is not None
                body = AnalysisBody.of(
                    happened, self.model, self.job.token_sampling, include_video_metadata=is_described
                )
                return event(body.model_dump(), "answer")


async def _stream(
    plan: AnalysisEvent, rest: AsyncIterator[AnalysisEvent], wire: _Wire, resources: AsyncExitStack
) -> AsyncIterator[str]:
    async with resources:
        yield wire.event(plan)
        try:
            async for happened in rest:
                yield wire.event(happened)
        except Exception as error:
            logger.exception("an analysis failed after its plan")
            yield event(error_body(error), "error")
