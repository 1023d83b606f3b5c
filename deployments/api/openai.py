"""OpenAI's dialect: `POST /v1/chat/completions` and `GET /v1/models`, for videos of any length."""

import logging
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deployments.api.bodies import read_json
from deployments.api.documentation import json_body
from deployments.api.errors import error_body, invalid_request
from deployments.api.options import AnalysisOptions
from deployments.api.schemas import AnalysisBody, UsageBody, written_tokens
from deployments.api.service import Service, ServiceDependency, VideoInput
from deployments.api.streaming import event, event_stream
from pipeline import errors
from pipeline.analysis import AnalysisDone, AnalysisEvent, AnalysisJob, AnswerDelta
from pipeline.errors import InvalidRequest
from pipeline.frame_lists import MAX_SAMPLE_FPS, MIN_SAMPLE_FPS
from pipeline.prompting import checked_prompt, clock
from pipeline.types import Prompt

logger = logging.getLogger("ray.serve")

router = APIRouter(tags=["openai"])


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class TextPart(_Part):
    type: Literal["text"]
    text: str


class VideoUrl(_Part):
    url: str


class VideoUrlPart(_Part):
    type: Literal["video_url"]
    video_url: VideoUrl


class FileReference(_Part):
    file_id: str


class FilePart(_Part):
    type: Literal["file"]
    file: FileReference


ContentPart = Annotated[TextPart | VideoUrlPart | FilePart, Field(discriminator="type")]


class Message(_Part):
    role: Literal["system", "developer", "user"]
    content: str | list[ContentPart]
    name: str | None = None

    @property
    def parts(self) -> list[TextPart | VideoUrlPart | FilePart]:
        if isinstance(self.content, str):
            return [TextPart(type="text", text=self.content)]
        return self.content

    @property
    def text(self) -> str:
        return "\n".join(part.text for part in self.parts if isinstance(part, TextPart))


class StreamOptions(_Part):
    include_usage: bool = False


class VideoIoOptions(_Part):
    fps: float | None = Field(default=None, ge=MIN_SAMPLE_FPS, le=MAX_SAMPLE_FPS)
    num_frames: Literal[-1] | None = None
    """All, without which vLLM takes the first 32."""


class MediaIoOptions(_Part):
    video: VideoIoOptions = VideoIoOptions()


class ChatCompletionRequest(AnalysisOptions):
    """OpenAI's request, and Longtake's own options beside it (`extra_body` in the official client)."""

    model: str
    messages: list[Message] = Field(min_length=1)
    """One user message with one video_url or file part, and system messages."""
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_completion_tokens: int | None = Field(default=None, ge=1)
    """Wins over max_tokens, its older name."""
    n: Literal[1] = 1
    user: str | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None
    video_path: str | None = None
    """A file on the server, below one of its media roots, instead of a part in the message."""
    media_io_kwargs: MediaIoOptions = MediaIoOptions()
    """vLLM's name for sample_fps, which wins over it, is `media_io_kwargs.video.fps`."""


class ModelBody(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "longtake"
    parent: str | None = None
    """Of a LoRA adapter: the model that it adapts."""
    max_model_len: int
    notice: str | None
    """What one must know about this model."""


class ModelListBody(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelBody]


@router.get("/v1/models")
async def list_models(service: ServiceDependency) -> ModelListBody:
    """The model that is served, and its LoRA adapters."""
    names = (service.model.served_model_name, *service.model.lora_adapters)
    return ModelListBody(data=[await _model(service, name) for name in names])


@router.get("/v1/models/{model:path}")
async def get_model(model: str, service: ServiceDependency) -> ModelBody:
    service.model.adapter(model)
    return await _model(service, model)


@router.post("/v1/chat/completions", openapi_extra=json_body(ChatCompletionRequest))
async def create_chat_completion(http_request: Request, service: ServiceDependency) -> Any:
    """Answers a user message that holds a video. What was covered stands in the field `longtake`."""
    request = _validated(await read_json(http_request, service.settings.sources))
    service.model.adapter(request.model)  # before an upload is kept
    prompt, video = _question(request)
    async with AsyncExitStack() as resources:
        source = await resources.enter_async_context(service.source(video))
        job = request.job(source, prompt, service.model)
        events = service.orchestrator.analyze(job)
        await anext(events)  # the plan: what is wrong with the video shows here
        reply = _Reply(request.model)
        if request.stream:
            return event_stream(_stream(events, reply, request, job, service, resources.pop_all()))
        async for done in events:
            if isinstance(done, AnalysisDone):
                return reply.completion(_text(done), done, _longtake(done, service, request, job))
    raise AssertionError("an analysis ends with AnalysisDone")


class _Reply:
    """The objects of one completion."""

    def __init__(self, model: str) -> None:
        self._head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": model}

    def completion(self, text: str, done: AnalysisDone, longtake: dict[str, Any]) -> dict[str, Any]:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text},
            "logprobs": _logprobs(done),
            "finish_reason": done.finish_reason,
        }
        return {
            **self._head,
            "object": "chat.completion",
            "choices": [choice],
            "usage": UsageBody.of(done.usage).model_dump(),
            "longtake": longtake,
        }

    def piece(self, delta: dict[str, str]) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        return {**self._head, "object": "chat.completion.chunk", "choices": [choice]}

    def last_piece(self, done: AnalysisDone, longtake: dict[str, Any]) -> dict[str, Any]:
        """With the log probabilities of the whole text, where they were asked for."""
        choice = {"index": 0, "delta": {}, "logprobs": _logprobs(done), "finish_reason": done.finish_reason}
        return {**self._head, "object": "chat.completion.chunk", "choices": [choice], "longtake": longtake}

    def usage_piece(self, done: AnalysisDone) -> dict[str, Any]:
        usage = UsageBody.of(done.usage).model_dump()
        return {**self._head, "object": "chat.completion.chunk", "choices": [], "usage": usage}


async def _stream(
    events: AsyncIterator[AnalysisEvent],
    reply: _Reply,
    request: ChatCompletionRequest,
    job: AnalysisJob,
    service: Service,
    resources: AsyncExitStack,
) -> AsyncIterator[str]:
    async with resources:
        yield event(reply.piece({"role": "assistant", "content": ""}))
        sent = ""
        try:
            async for happened in events:
                if isinstance(happened, AnswerDelta):
                    sent += happened.text
                    yield event(reply.piece({"content": happened.text}))
                elif isinstance(happened, AnalysisDone):
                    if sent and happened.answer is None:
                        raise errors.ServiceError(f"The answer broke off. {happened.answer_error or ''}".rstrip())
                    rest = _text(happened).removeprefix(sent)
                    if rest:
                        yield event(reply.piece({"content": rest}))
                    yield event(reply.last_piece(happened, _longtake(happened, service, request, job)))
                    if request.stream_options and request.stream_options.include_usage:
                        yield event(reply.usage_piece(happened))
        except Exception as error:
            logger.exception("an analysis failed after its plan")
            yield event(error_body(error))
        yield event("[DONE]")


def _text(done: AnalysisDone) -> str:
    """The answer; the chunks' answers one after the other where none was asked for or merging failed.

    Raises the reason as an error where there is no text at all.
    """
    if done.answer is not None:
        return done.answer
    texts = [
        f"[{clock(chunk.start_seconds)} - {clock(chunk.stop_seconds)}]\n{chunk.text.generation.text}"
        for chunk in done.chunk_answers
        if chunk.text
    ]
    if not texts:
        failures = {chunk.failure.type: chunk.failure.message for chunk in done.chunk_answers if chunk.failure}
        raise errors.ServiceError(f"No part of the video could be answered: {' '.join(failures.values())}")
    return "\n\n".join(texts)


def _logprobs(done: AnalysisDone) -> dict[str, Any] | None:
    tokens = written_tokens(done)
    return None if tokens is None else {"content": [token.model_dump() for token in tokens], "refusal": None}


def _longtake(done: AnalysisDone, service: Service, request: ChatCompletionRequest, job: AnalysisJob) -> dict[str, Any]:
    """Everything of the native answer that a chat completion has no place for."""
    body = AnalysisBody.of(
        done, service.model, job.token_sampling, include_video_metadata=request.include_video_metadata
    )
    return body.model_dump(exclude={"model", "aggregated_response", "usage", "logprobs"})


def _validated(fields: dict[str, Any]) -> ChatCompletionRequest:
    try:
        request = ChatCompletionRequest.model_validate(fields)
    except ValidationError as error:
        raise invalid_request(error, allowed=sorted(ChatCompletionRequest.model_fields)) from None
    if request.max_completion_tokens is not None:
        return request.model_copy(update={"max_tokens": request.max_completion_tokens})
    return request


def _question(request: ChatCompletionRequest) -> tuple[Prompt, VideoInput]:
    users = [message for message in request.messages if message.role == "user"]
    if len(users) != 1:
        raise InvalidRequest(
            f"messages holds {len(users)} user messages; send one, with a video_url part and a text part.",
            param="messages",
        )
    system = "\n".join(message.text for message in request.messages if message.role != "user")
    if system:
        checked_prompt(system, "messages")
    return Prompt(users[0].text, system or None), _video(users[0], request)


def _video(message: Message, request: ChatCompletionRequest) -> VideoInput:
    urls = [part.video_url.url for part in message.parts if isinstance(part, VideoUrlPart)]
    files = [part.file.file_id for part in message.parts if isinstance(part, FilePart)]
    paths = [request.video_path] if request.video_path is not None else []
    if len(urls) + len(files) + len(paths) != 1:
        raise InvalidRequest(
            f"The user message holds {len(urls) + len(files) + len(paths)} videos; give one, as a video_url part, a "
            "file part or video_path.",
            param="messages",
        )
    return VideoInput(
        url=next(iter(urls), None),
        path=next(iter(paths), None),
        file_id=next(iter(files), None),
        sample_fps=request.sample_fps or request.media_io_kwargs.video.fps,
    )


async def _model(service: Service, name: str) -> ModelBody:
    return ModelBody(
        id=name,
        created=_STARTED,
        parent=service.model.served_model_name if service.model.adapter(name) else None,
        max_model_len=await service.orchestrator.max_model_len(),
        notice=service.model.notice,
    )


_STARTED = int(time.time())
