"""An analysis as a chat completion, whole or streamed, and errors as OpenAI's clients expect them."""

import time
import uuid
from collections.abc import Iterator
from typing import Any

from fastapi.responses import JSONResponse

from deployments.api.openai_requests import ChatCompletionRequest
from deployments.model_choice import ModelChoice
from deployments.wire.errors import error_body, error_response
from deployments.wire.event_stream import event
from deployments.wire.result_bodies import AnalysisBody, UsageBody, written_tokens
from pipeline import errors
from pipeline.analysis import AnalysisDone, AnalysisEvent, AnalysisJob, AnswerDelta, PlanReady
from pipeline.answers.prompting import clock

END_OF_STREAM = "[DONE]"
_CODES = {errors.UnknownModel.type_name(): "model_not_found"}


class ChatReply:
    """Renders one analysis as a chat completion."""

    def __init__(self, job: AnalysisJob, model: ModelChoice, request: ChatCompletionRequest) -> None:
        self._job = job
        self._model = model
        self._request = request
        self._sent = ""
        self._head = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": request.model,
            "system_fingerprint": None,
        }
        self._chunk_head = {**self._head, "object": "chat.completion.chunk"}
        self._no_usage = {"usage": None} if request.includes_usage else {}
        """Part of every chunk of a stream except the one that contains the usage."""

    def body(self, done: AnalysisDone) -> dict[str, Any]:
        choice = {
            "index": 0,
            "message": {"role": "assistant", "content": _text(done), "refusal": None},
            "logprobs": _logprobs(done),
            "finish_reason": done.finish_reason,
        }
        return {
            **self._head,
            "object": "chat.completion",
            "choices": [choice],
            "usage": UsageBody.of(done.usage).model_dump(),
            "longtake": self._longtake(done),
        }

    def events(self, happened: AnalysisEvent) -> Iterator[bytes]:
        match happened:
            case PlanReady():
                yield event(self._chunk({"role": "assistant", "content": ""}))
            case AnswerDelta(text):
                yield self._content(text)
            case AnalysisDone():
                yield from self._last_events(happened)

    def failure(self, error: Exception) -> Iterator[bytes]:
        yield event(with_code(error_body(error)))
        yield event(END_OF_STREAM)

    def _last_events(self, done: AnalysisDone) -> Iterator[bytes]:
        if self._sent and done.answer is None:
            raise errors.ServiceError(f"The answer broke off. {done.answer_error or ''}".rstrip())
        if rest := _text(done).removeprefix(self._sent):
            yield self._content(rest)
        yield event(self._last_chunk(done))
        if self._request.includes_usage:
            usage = UsageBody.of(done.usage).model_dump()
            yield event({**self._chunk_head, "choices": [], "usage": usage})
        yield event(END_OF_STREAM)

    def _content(self, text: str) -> bytes:
        self._sent += text
        return event(self._chunk({"content": text}))

    def _chunk(self, delta: dict[str, str]) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
        return {**self._chunk_head, "choices": [choice], **self._no_usage}

    def _last_chunk(self, done: AnalysisDone) -> dict[str, Any]:
        """Return the chunk that ends the text, with its log probabilities if they were requested."""
        choice = {"index": 0, "delta": {}, "logprobs": _logprobs(done), "finish_reason": done.finish_reason}
        return {**self._chunk_head, "choices": [choice], **self._no_usage, "longtake": self._longtake(done)}

    def _longtake(self, done: AnalysisDone) -> dict[str, Any]:
        """Return the fields of the native answer that a chat completion lacks."""
        body = AnalysisBody.of(
            done,
            self._model,
            self._job.token_sampling,
            include_video_metadata=self._request.include_video_metadata,
        )
        return body.model_dump(exclude={"model", "aggregated_response", "usage", "logprobs"})


def coded_error(error: errors.LongtakeError) -> JSONResponse:
    """Render an error with `code` in addition to `type`, `message` and `param`, as in OpenAI's API."""
    return error_response(error, with_code(error_body(error)))


def with_code(body: dict[str, Any]) -> dict[str, Any]:
    return {"error": body["error"] | {"code": _CODES.get(body["error"]["type"])}}


def _text(done: AnalysisDone) -> str:
    """Return the answer; without one, because merging failed or was not requested, the chunks' answers.

    Raises ServiceError with the chunks' failures if there is no text at all.
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
