"""Run Qwen3-VL on vLLM's AsyncLLM. Only this package imports vLLM."""

import multiprocessing
import re
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import fields
from functools import partial
from typing import Any

import vllm
from vllm.config import VllmConfig
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.exceptions import MaxQueuedTokensError, QueueOverflowError, VLLMValidationError
from vllm.outputs import CompletionOutput, RequestOutput
from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError
from vllm.v1.metrics.loggers import StatLoggerBase
from vllm.v1.metrics.ray_wrappers import RayPrometheusStatLogger
from vllm.v1.structured_output.backend_xgrammar import validate_xgrammar_grammar

from deployments.engine.adapters import Adapters
from deployments.engine.inputs import EngineInputs
from deployments.engine.progress import Progress
from deployments.engine.vllm_logs import EngineProcessLogging, log_to_serve
from deployments.logs import logger
from pipeline.errors import EngineBusy, EngineDied, EngineFailed, InvalidRequest
from pipeline.types import (
    Generation,
    JsonFormat,
    PreparedChunk,
    Prompt,
    TextDelta,
    TokenLogprob,
    TokenSampling,
    TokenUsage,
    Turn,
    WrittenToken,
)

FIRST_TURN = Turn()

_SOURCE_LINE = re.compile(r"\[[\d:]+\] \S+:\d+: ")
"""Prefix of xgrammar's error messages: a time, a source file and a line."""


class Engine:
    """Generates text from a prompt, with or without the frames of a chunk."""

    def __init__(
        self,
        engine_args: Mapping[str, Any],
        lora_adapters: Mapping[str, str] | None = None,
        *,
        runs_in_serve: bool = False,
    ) -> None:
        """Load the model. With `runs_in_serve`, vLLM exports its metrics through Ray and logs through Serve.

        Raises ValueError for an argument that vLLM does not know, and for a folder without an adapter.
        """
        known = {field.name for field in fields(AsyncEngineArgs)}
        if unknown := sorted(set(engine_args) - known):
            raise ValueError(f"engine_args contains {unknown}, which vLLM {vllm.__version__} does not support.")
        self._adapters = Adapters(lora_adapters or {})
        self._progress = Progress()
        logging_args: dict[str, Any] = {}
        if runs_in_serve:
            log_to_serve()
            logging_args = {"logging_config": EngineProcessLogging()}
        self._llm = AsyncLLM.from_engine_args(
            AsyncEngineArgs(**logging_args | self._adapters.engine_args | dict(engine_args)),
            stat_loggers=[
                partial(_StepLogger, progress=self._progress),
                *([RayPrometheusStatLogger] if runs_in_serve else []),
            ],
        )
        self._inputs = EngineInputs(self._llm.get_tokenizer())
        self._is_traced = self._llm.observability_config.otlp_traces_endpoint is not None
        self.max_model_len: int = self._llm.model_config.max_model_len

    async def generate(
        self,
        prompt: Prompt,
        token_sampling: TokenSampling,
        chunk: PreparedChunk | None = None,
        *,
        turn: Turn = FIRST_TURN,
        traceparent: str | None = None,
    ) -> AsyncIterator[TextDelta | Generation]:
        """Yield the text as it is generated, then the finished Generation.

        `traceparent` is the parent of vLLM's own spans, if `engine_args` enable its tracing.

        Raises EngineFailed, EngineBusy or EngineDied. Closing the iterator aborts the generation.
        """
        started = time.perf_counter()
        tokens: list[WrittenToken] = []
        text, num_tokens, prompt_tokens, cached_tokens, finish_reason = "", 0, 0, 0, "stop"
        async with _translated_errors():
            if chunk is None:
                engine_input = self._inputs.text(prompt, turn.cache_salt)
            else:
                engine_input = self._inputs.video(prompt, chunk, turn.cache_salt)
            params = _sampling_params(token_sampling)
            outputs = self._llm.generate(
                engine_input,
                params,
                uuid.uuid4().hex,
                lora_request=self._adapters.request(token_sampling.adapter),
                priority=turn.priority,
                trace_headers={"traceparent": traceparent} if traceparent and self._is_traced else None,
            )
            async for output in self._watched(outputs):
                completion = output.outputs[0]
                num_tokens += len(completion.token_ids)
                prompt_tokens = len(output.prompt_token_ids or ()) or prompt_tokens
                cached_tokens = output.num_cached_tokens or cached_tokens
                finish_reason = completion.finish_reason or finish_reason
                tokens += _written_tokens(completion, token_sampling.num_logprobs or 0)
                if completion.text:
                    text += completion.text
                    yield TextDelta(completion.text)
        seconds = time.perf_counter() - started
        usage = TokenUsage(prompt_tokens, num_tokens, cached_tokens)
        requested_tokens = None if token_sampling.num_logprobs is None else tuple(tokens)
        yield Generation(text, finish_reason, usage, seconds, requested_tokens)

    async def _watched(self, outputs: AsyncIterator[RequestOutput]) -> AsyncIterator[RequestOutput]:
        with self._progress.working():
            async for output in outputs:
                yield output

    @property
    def stalled_seconds(self) -> float:
        """Seconds since the engine's last step; 0 if it is idle."""
        return self._progress.stalled_seconds

    async def check_alive(self) -> None:
        """Raise EngineDied if the engine's process has ended."""
        async with _translated_errors():
            await self._llm.check_health()

    def check_token_sampling(self, token_sampling: TokenSampling) -> None:
        """Raise InvalidRequest for a JSON schema that xgrammar cannot compile."""
        try:
            validate_xgrammar_grammar(_sampling_params(token_sampling))
        except (VLLMValidationError, ValueError) as error:
            reason = _SOURCE_LINE.sub("", str(error)).rstrip(".")
            raise InvalidRequest(
                f"The engine does not support this JSON schema: {reason}. Remove that part.", param="response_format"
            ) from error

    def kill(self) -> None:
        """Kill the engine's process, which may be hung. Its own workers exit when it is gone."""
        for process in multiprocessing.active_children():
            process.kill()

    def shutdown(self) -> None:
        self._llm.shutdown()


class _StepLogger(StatLoggerBase):
    """Records the engine's steps. vLLM reports each one here, with or without a token."""

    def __init__(self, vllm_config: VllmConfig, engine_index: int = 0, *, progress: Progress) -> None:
        self._progress = progress

    def record(self, *args: Any, **kwargs: Any) -> None:
        self._progress.step()

    def log_engine_initialized(self) -> None:
        """There is nothing to report."""


def _sampling_params(token_sampling: TokenSampling) -> vllm.SamplingParams:
    return vllm.SamplingParams(
        max_tokens=token_sampling.max_tokens,
        temperature=token_sampling.temperature,
        top_p=token_sampling.top_p,
        top_k=token_sampling.top_k,
        seed=token_sampling.seed,
        presence_penalty=token_sampling.presence_penalty,
        frequency_penalty=token_sampling.frequency_penalty,
        stop=list(token_sampling.stop),
        logprobs=token_sampling.num_logprobs,
        structured_outputs=_structured(token_sampling.json_format),
        output_kind=RequestOutputKind.DELTA,
    )


def _structured(json_format: JsonFormat | None) -> StructuredOutputsParams | None:
    if json_format is None:
        return None
    if json_format.schema is None:
        return StructuredOutputsParams(json_object=True)
    return StructuredOutputsParams(json=json_format.schema)


def _written_tokens(completion: CompletionOutput, num_likeliest: int) -> Iterator[WrittenToken]:
    for token_id, place in zip(completion.token_ids, completion.logprobs or (), strict=False):
        if place is None:
            continue
        by_rank = sorted(place.items(), key=lambda entry: -entry[1].logprob)
        logprobs = {token: TokenLogprob(entry.decoded_token or "", entry.logprob) for token, entry in by_rank}
        yield WrittenToken(logprobs[token_id], tuple(logprobs.values())[:num_likeliest])


@asynccontextmanager
async def _translated_errors() -> AsyncIterator[None]:
    """Translate vLLM's exceptions. Their texts go to the log only, because they may contain addresses of objects."""
    try:
        yield
    except EngineFailed:
        raise
    except (QueueOverflowError, MaxQueuedTokensError) as error:
        raise EngineBusy("The engine's queue is full; try again in a few seconds.") from error
    except EngineDeadError as error:
        raise EngineDied("The engine died; try again later.") from error
    except Exception as error:
        logger.exception("vLLM refused or failed a request")
        raise EngineFailed(
            "The engine could not process this chunk or prompt; the server's log has the reason under this request."
        ) from error
