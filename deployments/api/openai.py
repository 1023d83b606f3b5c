"""OpenAI's dialect: `POST /v1/chat/completions` and `GET /v1/models`, for videos of any length."""

import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deployments.api.documentation import json_body
from deployments.api.openai_messages import TAGS, Message, prompt_of, video_of
from deployments.api.options import AnalysisOptions
from deployments.api.requested_video import RequestedVideo, at_sample_fps
from deployments.api.service import Service, ServiceDependency
from deployments.logs import logger
from deployments.wire.errors import error_body, error_response, invalid_request, plain_error
from deployments.wire.event_stream import event, event_stream
from deployments.wire.request_bodies import read_json
from deployments.wire.result_bodies import AnalysisBody, UsageBody, written_tokens
from pipeline import errors
from pipeline.analysis import AnalysisDone, AnalysisEvent, AnalysisJob, AnswerDelta
from pipeline.answers.prompting import clock
from pipeline.errors import InvalidRequest
from pipeline.types import LocalVideo
from pipeline.video.frame_lists import MAX_SAMPLE_FPS, MIN_SAMPLE_FPS


class OpenAiRoute(APIRoute):
    """Failures have a `code` beside `type`, `message` and `param`, as in OpenAI's API."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def coded(request: Request) -> Response:
            try:
                return await handle(request)
            except errors.LongtakeError as error:
                response = error_response(error)
                return JSONResponse(_with_code(error_body(error)), response.status_code, _own_headers(response))

        return coded


router = APIRouter(tags=["openai"], route_class=OpenAiRoute)

_CODES = {errors.UnknownModel.type_name(): "model_not_found"}


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class StreamOptions(_Options):
    include_usage: bool = False
    """Whether the last piece tells the usage."""
    include_obfuscation: Literal[False] = False


class VideoIoOptions(_Options):
    fps: float | None = Field(default=None, ge=MIN_SAMPLE_FPS, le=MAX_SAMPLE_FPS)
    num_frames: Literal[-1] | None = None
    """All, without which vLLM takes the first 32."""


class MediaIoOptions(_Options):
    video: VideoIoOptions = VideoIoOptions()


class ChatCompletionRequest(AnalysisOptions):
    """OpenAI's request, and Longtake's own options beside it (`extra_body` in the official client)."""

    model: str
    messages: list[Message] = Field(min_length=1)
    """A conversation about one video: it stands in a user message, and the last message asks."""
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_completion_tokens: int | None = Field(default=None, ge=1)
    """Wins over max_tokens, its older name."""
    n: Literal[1] = 1
    modalities: list[Literal["text"]] | None = None
    service_tier: Literal["auto", "default"] | None = None
    tool_choice: Literal["none", "auto"] | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["none"] | None = None
    store: Literal[False] | None = None
    user: str | None = None
    safety_identifier: str | None = None
    metadata: dict[str, str] | None = None
    prompt_cache_key: str | None = None
    """What is asked about again is found without it; `cache_salt` keeps it apart."""
    prediction: dict[str, Any] | None = None
    """Changes no answer in OpenAI's API either."""
    video_path: str | None = None
    """A file on the server, below one of its media roots, instead of a part in the message."""
    media_io_kwargs: MediaIoOptions = MediaIoOptions()
    """vLLM's name for sample_fps, which wins over it, is `media_io_kwargs.video.fps`."""


_UNSUPPORTED_FIELDS = {
    "tools": "no tools are called here; an answer that a program is to read is had by response_format",
    "functions": "no functions are called here; an answer that a program is to read is had by response_format",
    "function_call": "no functions are called here",
    "logit_bias": "tokens are not weighed here; response_format and stop say what an answer may be",
    "audio": "answers are text",
    "web_search_options": "nothing is looked up here",
    "verbosity": "say in the prompt how long the answer is to be, and max_tokens how long at most",
    "moderation": "nothing is moderated here",
}
"""OpenAI's fields that would change the answer, and why they do not here."""


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


_ALTERNATIVES = {
    "/v1/responses": "POST /v1/chat/completions takes the same question, with the video as a video_url part",
    "/v1/completions": "POST /v1/chat/completions takes the same question, with the video as a video_url part",
    "/v1/embeddings": "Longtake answers questions about videos, by POST /v1/chat/completions",
    "/v1/uploads": "large files are sent to /v1/files/uploads by tus 1.0, and smaller ones to /v1/files",
    "/v1/batches": "POST /v1/analyses?wait=false answers at once, and is asked about later",
}


async def explain_unsupported(request: Request) -> JSONResponse:
    """Of what a client of OpenAI's may look for and is not here."""
    path = request.url.path
    body = plain_error("not_found", f"{request.method} {path} is not served here: {_ALTERNATIVES[path]}.")
    return JSONResponse(_with_code(body), 404)


for _path in _ALTERNATIVES:
    router.add_api_route(_path, explain_unsupported, methods=["GET", "POST"], include_in_schema=False)


@router.post("/v1/chat/completions", openapi_extra=json_body(ChatCompletionRequest))
async def create_chat_completion(http_request: Request, service: ServiceDependency) -> Any:
    """Answers a user message that holds a video. What was covered stands in the field `longtake`."""
    request = _validated(await read_json(http_request, service.settings.sources))
    service.model.adapter(request.model)  # before an upload is kept
    prompt, video = prompt_of(request.messages), _video(request)
    async with AsyncExitStack() as resources:
        source = await resources.enter_async_context(service.source(video))
        job = request.job(source, prompt, service.model)
        events = service.orchestrator.analyze(job)
        await anext(events)  # the plan: what is wrong with the video shows here
        tells_usage = request.stream_options is not None and request.stream_options.include_usage
        reply = _Reply(request.model, tells_usage=tells_usage)
        if request.stream:
            return event_stream(_stream(events, reply, request, job, service, resources.pop_all()))
        async for done in events:
            if isinstance(done, AnalysisDone):
                return reply.completion(_text(done), done, _longtake(done, service, request, job))
    raise AssertionError("an analysis ends with AnalysisDone")


class _Reply:
    """The objects of one completion."""

    def __init__(self, model: str, *, tells_usage: bool) -> None:
        self._head = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": None,
        }
        self._no_usage = {"usage": None} if tells_usage else {}
        """Of every piece of a stream but the last, where that is to tell it."""

    def completion(self, text: str, done: AnalysisDone, longtake: dict[str, Any]) -> dict[str, Any]:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": text, "refusal": None},
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
        return {**self._head, "object": "chat.completion.chunk", "choices": [choice], **self._no_usage}

    def last_piece(self, done: AnalysisDone, longtake: dict[str, Any]) -> dict[str, Any]:
        """With the log probabilities of the whole text, where they were asked for."""
        choice = {"index": 0, "delta": {}, "logprobs": _logprobs(done), "finish_reason": done.finish_reason}
        head = {**self._head, "object": "chat.completion.chunk"}
        return {**head, "choices": [choice], **self._no_usage, "longtake": longtake}

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
            yield event(_with_code(error_body(error)))
        yield event("[DONE]")


def _with_code(body: dict[str, Any]) -> dict[str, Any]:
    return {"error": body["error"] | {"code": _CODES.get(body["error"]["type"])}}


def _own_headers(response: Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name not in ("content-length", "content-type")}


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
    """The request; a field of OpenAI's that is null or empty is one that is not given."""
    for name, reason in _UNSUPPORTED_FIELDS.items():
        if fields.get(name):
            raise InvalidRequest(f"{name} is given and {reason}; leave it out.", param=name)
    known = ChatCompletionRequest.model_fields.keys() | _UNSUPPORTED_FIELDS.keys()
    given = {name: value for name, value in fields.items() if not (name in known and value is None)}
    given = {name: value for name, value in given.items() if name not in _UNSUPPORTED_FIELDS}
    try:
        request = ChatCompletionRequest.model_validate(given)
    except ValidationError as error:
        allowed = sorted(ChatCompletionRequest.model_fields)
        raise invalid_request(error, allowed, tags=TAGS) from None
    if request.stream_options and not request.stream:
        raise InvalidRequest("stream_options is given without stream; give stream: true too.", param="stream_options")
    if request.max_completion_tokens is not None:
        return request.model_copy(update={"max_tokens": request.max_completion_tokens})
    return request


def _video(request: ChatCompletionRequest) -> RequestedVideo:
    video, path = video_of(request.messages), request.video_path
    sample_fps = request.sample_fps or request.media_io_kwargs.video.fps
    if video is not None and path is None:
        return at_sample_fps(video, sample_fps)
    if video is None and path is not None:
        return at_sample_fps(LocalVideo(path), sample_fps)
    raise InvalidRequest(
        f"messages hold {'no' if video is None else 'a'} video and video_path is {'not ' * (path is None)}given; "
        "give one video, as a video_url part, a file part, its frames as image_url parts, or video_path.",
        param="messages",
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
