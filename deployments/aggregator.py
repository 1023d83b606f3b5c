"""Aggregator: merges the notes on the chunks into one answer."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

from ray.serve.handle import DeploymentHandle

from deployments.serving.event_loops import EventLoopHealth
from deployments.serving.text_relay import end_of
from pipeline.answers.merging import Merged, MergeTask, merge_groups
from pipeline.types import NO_TRAIL, Generation, TextDelta, TokenSampling, TokenUsage, Trail, Turn


class Aggregator(EventLoopHealth):
    """Merges notes with the engine that wrote them, in several levels if they exceed its context."""

    def __init__(self, vision_language_model: DeploymentHandle) -> None:
        self._engine = vision_language_model.options(stream=True)

    async def merge(
        self, task: MergeTask, token_sampling: TokenSampling, max_model_len: int, turn: Turn, trail: Trail = NO_TRAIL
    ) -> AsyncIterator[TextDelta | Merged]:
        """Yield the answer as it is generated, then the finished merge. Raises InvalidRequest, EngineFailed."""
        # The results of one level become prompts of the next: two must fit, whatever length the client allows.
        most_tokens = min(token_sampling.max_tokens, max_model_len // 8)
        intermediate = replace(token_sampling, max_tokens=most_tokens, num_logprobs=None)
        max_prompt_tokens = max_model_len - token_sampling.max_tokens
        usage, levels = TokenUsage(), 1
        groups = merge_groups(task, max_prompt_tokens=max_prompt_tokens)
        while len(groups) > 1:
            generations = await asyncio.gather(
                *(self._generation(group, intermediate, turn, trail) for group in groups)
            )
            usage = sum((generation.usage for generation in generations), usage)
            notes = tuple(g.merged(generation.text) for g, generation in zip(groups, generations, strict=True))
            groups = merge_groups(replace(task, notes=notes), max_prompt_tokens=max_prompt_tokens)
            levels += 1
        pieces: AsyncIterator[TextDelta | Generation] = self._engine.generate.remote(
            groups[0].prompt, token_sampling, turn, trail
        )
        async for piece in pieces:
            if isinstance(piece, Generation):
                yield Merged(piece, usage + piece.usage, levels)
            else:
                yield piece

    async def _generation(self, task: MergeTask, token_sampling: TokenSampling, turn: Turn, trail: Trail) -> Generation:
        pieces: AsyncIterator[TextDelta | Generation] = self._engine.generate.remote(
            task.prompt, token_sampling, turn, trail
        )
        return await end_of(pieces)
