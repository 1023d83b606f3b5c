"""vLLM's AsyncLLM running Qwen3-VL. With engine_inputs.py all that imports vLLM."""

import logging
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import fields
from typing import Any

import vllm
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError

from deployments.engine_inputs import EngineInputs
from pipeline.errors import EngineDied, EngineFailed
from pipeline.types import Generation, PreparedChunk, Prompt, TextDelta, TokenSampling, TokenUsage

logger = logging.getLogger("ray.serve")


class Engine:
    """Generates text from a prompt and, where there is one, a chunk."""

    def __init__(self, engine_args: Mapping[str, Any]) -> None:
        """Loads the model. Raises ValueError for an argument that vLLM does not know."""
        known = {field.name for field in fields(AsyncEngineArgs)}
        if unknown := sorted(set(engine_args) - known):
            raise ValueError(f"engine_args holds {unknown}, which vLLM {vllm.__version__} does not know.")
        self._llm = AsyncLLM.from_engine_args(AsyncEngineArgs(**engine_args))
        self._inputs = EngineInputs(self._llm.get_tokenizer())
        self.max_model_len: int = self._llm.model_config.max_model_len

    async def generate(
        self, prompt: Prompt, token_sampling: TokenSampling, chunk: PreparedChunk | None = None
    ) -> AsyncIterator[TextDelta | Generation]:
        """Yields the text as it is written, then the whole of it. Raises EngineFailed, or EngineDied.

        Closing the iterator ends the generation.
        """
        started = time.perf_counter()
        text, num_tokens, prompt_tokens, cached_tokens, finish_reason = "", 0, 0, 0, "stop"
        async with _translated_errors():
            engine_input = self._inputs.text(prompt) if chunk is None else self._inputs.video(prompt, chunk)
            outputs = self._llm.generate(engine_input, _sampling_params(token_sampling), uuid.uuid4().hex)
            async for output in outputs:
                completion = output.outputs[0]
                num_tokens += len(completion.token_ids)
                prompt_tokens = len(output.prompt_token_ids or ()) or prompt_tokens
                cached_tokens = output.num_cached_tokens or cached_tokens
                finish_reason = completion.finish_reason or finish_reason
                if completion.text:
                    text += completion.text
                    yield TextDelta(completion.text)
        seconds = time.perf_counter() - started
        yield Generation(text, finish_reason, TokenUsage(prompt_tokens, num_tokens, cached_tokens), seconds)

    async def check_alive(self) -> None:
        """Raises EngineDied when the engine's process is gone."""
        async with _translated_errors():
            await self._llm.check_health()

    def shutdown(self) -> None:
        self._llm.shutdown()


def _sampling_params(token_sampling: TokenSampling) -> vllm.SamplingParams:
    return vllm.SamplingParams(
        max_tokens=token_sampling.max_tokens,
        temperature=token_sampling.temperature,
        top_p=token_sampling.top_p,
        top_k=token_sampling.top_k,
        seed=token_sampling.seed,
        output_kind=RequestOutputKind.DELTA,
    )


@asynccontextmanager
async def _translated_errors() -> AsyncIterator[None]:
    """vLLM's exceptions, as ours. Their texts go to the log: they may hold addresses of objects."""
    try:
        yield
    except EngineFailed:
        raise
    except EngineDeadError as error:
        raise EngineDied("The engine died; try again later.") from error
    except Exception as error:
        logger.exception("vLLM refused or failed a request")
        raise EngineFailed(
            "The engine could not process this chunk or prompt; the server's log has the reason under this request."
        ) from error
