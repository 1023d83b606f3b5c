"""VisionLanguageModel: generates text from the frames of a chunk, or from text alone."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from deployments.logs import logger
from deployments.model_choice import ModelChoice
from deployments.serving.ray_errors import encodable_errors
from deployments.serving.text_relay import end_of
from deployments.telemetry.tracing import stage
from pipeline.errors import EngineDied
from pipeline.types import NO_TRAIL, ChunkText, Generation, PreparedChunk, Prompt, TextDelta, TokenSampling, Trail, Turn

CANARY = (Prompt("Say yes."), TokenSampling(max_tokens=1, temperature=0.0, top_p=1.0, top_k=0, seed=0))
CANARY_SECONDS = 3.0
"""How long a health check waits for its canary. The next check waits for a slower one again."""
GRACE_SECONDS = 1.0
"""A pause before an engine counts as hung, to read the steps that it reported while this process was busy."""
EXIT_WITHOUT_ENGINE = 70


class VisionLanguageModel:
    """Owns the engine. A replica whose engine dies exits, and Serve starts another."""

    def __init__(self, choice: ModelChoice) -> None:
        logger.info("Serving %s on %s: %s", choice.model, choice.device, choice.reason)
        os.environ.update(choice.environment)
        # Ray gives a worker as many OpenMP threads as it reserves CPUs: one here, and a chunk takes twice as long with
        # one (docs/architecture.md). torch reads the variable once, when it is imported.
        os.environ["OMP_NUM_THREADS"] = str(len(os.sched_getaffinity(0)))
        # vLLM takes 13 s to import, and the graph can be built and tested without it.
        from deployments.engine.engine import Engine  # noqa: PLC0415

        self._engine = Engine(choice.engine_args, choice.lora_adapters, runs_in_serve=True)
        self._stall_seconds = choice.stall_seconds
        self._num_running = 0
        self._canary: asyncio.Task[None] | None = None

    async def max_model_len(self) -> int:
        """Return the number of tokens that prompt, frames and generated text share."""
        return self._engine.max_model_len

    async def check_token_sampling(self, token_sampling: TokenSampling) -> None:
        """Raise InvalidRequest for parameters that the engine would reject for every chunk."""
        with encodable_errors():
            await asyncio.to_thread(self._engine.check_token_sampling, token_sampling)

    async def answer(
        self, chunk: PreparedChunk, prompt: Prompt, token_sampling: TokenSampling, turn: Turn, trail: Trail = NO_TRAIL
    ) -> ChunkText:
        """Answer a prompt about one chunk. Raises EngineFailed, EngineBusy."""
        return await end_of(self.stream_answer(chunk, prompt, token_sampling, turn, trail))

    async def stream_answer(
        self, chunk: PreparedChunk, prompt: Prompt, token_sampling: TokenSampling, turn: Turn, trail: Trail = NO_TRAIL
    ) -> AsyncIterator[TextDelta | ChunkText]:
        """Answer a prompt about one chunk, yielding the text as it is generated."""
        async for piece in self._generated(prompt, token_sampling, chunk, turn, trail):
            yield ChunkText(piece, chunk.report) if isinstance(piece, Generation) else piece

    async def generate(
        self, prompt: Prompt, token_sampling: TokenSampling, turn: Turn, trail: Trail = NO_TRAIL
    ) -> AsyncIterator[TextDelta | Generation]:
        """Answer a prompt without frames, yielding the text as it is generated. Raises EngineFailed, EngineBusy."""
        async for piece in self._generated(prompt, token_sampling, None, turn, trail):
            yield piece

    async def check_ready(self) -> None:
        """Generate a token. Raises EngineFailed if that fails."""
        async with self._working():
            await end_of(self._engine.generate(*CANARY))

    async def check_health(self) -> None:
        """Check the engine for Serve. A busy engine must finish steps; an idle one must generate a token, the canary.

        Raises the canary's error. A canary that outlasts the check is like any other request.
        """
        async with _exit_without_engine():
            await self._engine.check_alive()
            await self._check_progress()
        if self._canary is None and not self._num_running:
            self._canary = asyncio.create_task(self.check_ready())
        if self._canary is not None:
            done, _ = await asyncio.wait({self._canary}, timeout=CANARY_SECONDS)
            if done:
                canary, self._canary = self._canary, None
                canary.result()

    async def _check_progress(self) -> None:
        """Kill a busy engine that has finished no step for too long, and raise EngineDied."""
        if self._engine.stalled_seconds < self._stall_seconds:
            return
        await asyncio.sleep(GRACE_SECONDS)
        stalled_seconds = self._engine.stalled_seconds
        if stalled_seconds >= self._stall_seconds:
            logger.critical("The engine is busy and has finished no step for %.0f s; it is killed", stalled_seconds)
            self._engine.kill()
            raise EngineDied("The engine hung; try again later.")

    async def _generated(
        self, prompt: Prompt, token_sampling: TokenSampling, chunk: PreparedChunk | None, turn: Turn, trail: Trail
    ) -> AsyncIterator[TextDelta | Generation]:
        generation: Generation | None = None
        with stage("inference", trail) as inference:
            async with self._working():
                pieces = self._engine.generate(
                    prompt, token_sampling, chunk, turn=turn, traceparent=inference.trail.traceparent
                )
                async for piece in pieces:
                    if isinstance(piece, Generation):
                        generation = piece
                    else:
                        yield piece
            if generation:
                inference.set(
                    prompt_tokens=generation.usage.prompt_tokens,
                    cached_tokens=generation.usage.cached_tokens,
                    completion_tokens=generation.usage.completion_tokens,
                    finish_reason=generation.finish_reason,
                )
        if generation:
            yield generation  # after the span has ended: readers may stop here

    @asynccontextmanager
    async def _working(self) -> AsyncIterator[None]:
        self._num_running += 1
        try:
            with encodable_errors():
                async with _exit_without_engine():
                    yield
        finally:
            self._num_running -= 1

    def __del__(self) -> None:
        if hasattr(self, "_engine"):
            self._engine.shutdown()


@asynccontextmanager
async def _exit_without_engine() -> AsyncIterator[None]:
    """Exit this process when its engine is dead.

    Serve would notice after three failed checks, and every call would fail meanwhile. When the process exits, callers
    retry on another replica at once, or wait for the next one.
    """
    try:
        yield
    except EngineDied:
        logger.critical("The engine died; this replica exits and is replaced")
        sys.stderr.flush()
        os._exit(EXIT_WITHOUT_ENGINE)
