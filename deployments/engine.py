"""vLLM's AsyncLLM running Qwen3-VL. The one file that imports vLLM."""

import logging
import time
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import fields
from typing import Any

import vllm
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.renderers.inputs.preprocess import parse_model_prompt
from vllm.sampling_params import RequestOutputKind
from vllm.v1.engine.async_llm import AsyncLLM
from vllm.v1.engine.exceptions import EngineDeadError

from pipeline.errors import EngineDied, EngineFailed
from pipeline.types import DecodedFrames, Generation, Prompt, TextDelta, TokenSampling, TokenUsage

logger = logging.getLogger("ray.serve")

TICKS_PER_SECOND = 1000
"""vLLM computes a frame's time as index / fps. Given milliseconds for indices, it is exact at any frame rate."""


class Engine:
    """Generates text from a prompt and, where there are any, the frames of one chunk."""

    def __init__(self, engine_args: Mapping[str, Any]) -> None:
        """Loads the model. Raises ValueError for an argument that vLLM does not know."""
        known = {field.name for field in fields(AsyncEngineArgs)}
        if unknown := sorted(set(engine_args) - known):
            raise ValueError(f"engine_args holds {unknown}, which vLLM {vllm.__version__} does not know.")
        self._llm = AsyncLLM.from_engine_args(AsyncEngineArgs(**engine_args))
        self.max_model_len: int = self._llm.model_config.max_model_len

    async def generate(
        self, prompt: Prompt, token_sampling: TokenSampling, frames: DecodedFrames | None = None
    ) -> AsyncIterator[TextDelta | Generation]:
        """Yields the text as it is written, then the whole of it. Raises EngineFailed, or EngineDied.

        Closing the iterator ends the generation.
        """
        started = time.perf_counter()
        text, num_tokens, prompt_tokens, finish_reason = "", 0, 0, "stop"
        async with _translated_errors():
            (engine_input,) = await self._llm.renderer.render_cmpl_async(
                [parse_model_prompt(self._llm.model_config, self._model_prompt(prompt, frames))]
            )
            outputs = self._llm.generate(engine_input, _sampling_params(token_sampling), uuid.uuid4().hex)
            async for output in outputs:
                completion = output.outputs[0]
                num_tokens += len(completion.token_ids)
                prompt_tokens = len(output.prompt_token_ids or ()) or prompt_tokens
                finish_reason = completion.finish_reason or finish_reason
                if completion.text:
                    text += completion.text
                    yield TextDelta(completion.text)
        seconds = time.perf_counter() - started
        yield Generation(text, finish_reason, TokenUsage(prompt_tokens, num_tokens), seconds)

    async def check_alive(self) -> None:
        """Raises EngineDied when the engine's process is gone."""
        async with _translated_errors():
            await self._llm.check_health()

    def shutdown(self) -> None:
        self._llm.shutdown()

    def _model_prompt(self, prompt: Prompt, frames: DecodedFrames | None) -> dict[str, Any]:
        video_part = [{"type": "video"}] if frames is not None else []
        messages: list[Any] = [{"role": "user", "content": [*video_part, {"type": "text", "text": prompt.text}]}]
        if prompt.system:
            messages.insert(0, {"role": "system", "content": prompt.system})
        text = self._llm.get_tokenizer().apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
        if frames is None:
            return {"prompt": text}
        return {"prompt": text, "multi_modal_data": {"video": [(frames.frames, _video_metadata(frames))]}}


def _video_metadata(frames: DecodedFrames) -> dict[str, Any]:
    ticks = [round(seconds * TICKS_PER_SECOND) for seconds in frames.pts_seconds.tolist()]
    return {
        "fps": float(TICKS_PER_SECOND),
        "frames_indices": ticks,
        "total_num_frames": ticks[-1] + 1,
        "duration": (ticks[-1] + 1) / TICKS_PER_SECOND,
        "video_backend": "longtake",
        "do_sample_frames": False,
    }


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
    except EngineDeadError as error:
        raise EngineDied("The engine died; try again later.") from error
    except Exception as error:
        logger.exception("vLLM refused or failed a request")
        raise EngineFailed(
            "The engine could not process this chunk or prompt; the server's log has the reason under this request."
        ) from error
