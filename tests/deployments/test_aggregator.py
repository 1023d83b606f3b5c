"""Aggregator over a fake engine: one merge, or several levels of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from deployments.aggregator import Aggregator
from pipeline.answers.merging import Merged, MergeTask
from pipeline.errors import EngineFailed
from pipeline.types import Generation, Note, Prompt, TextDelta, TokenSampling, TokenUsage, Turn
from tests.deployments.fake_handles import FakeHandle

SAMPLING = TokenSampling(max_tokens=50, temperature=0.0, top_p=1.0, top_k=0, seed=7, num_logprobs=2)


def task(num_notes: int, note: str = "A cat sits.") -> MergeTask:
    notes = tuple(Note(10.0 * index, 10.0 * (index + 1), note) for index in range(num_notes))
    return MergeTask(Prompt("What happens?"), "Merge them.", notes)


class Engine:
    """Generates `A day.` in two pieces; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[Prompt, TokenSampling]] = []

    async def generate(
        self, prompt: Prompt, token_sampling: TokenSampling, *_: Any
    ) -> AsyncIterator[TextDelta | Generation]:
        self.asked.append((prompt, token_sampling))
        yield TextDelta("A ")
        yield TextDelta("day.")
        yield Generation("A day.", "stop", TokenUsage(100, 3), 0.1)


async def merged(engine: Any, task: MergeTask, max_model_len: int) -> list[TextDelta | Merged]:
    aggregator = Aggregator(FakeHandle(generate=engine.generate))
    return [piece async for piece in aggregator.merge(task, SAMPLING, max_model_len, Turn())]


async def test_notes_that_fit_are_merged_at_once() -> None:
    engine = Engine()
    *deltas, last = await merged(engine, task(3), 65536)
    assert deltas == [TextDelta("A "), TextDelta("day.")]
    assert isinstance(last, Merged)
    assert (last.generation.text, last.levels, last.usage) == ("A day.", 1, TokenUsage(100, 3))
    assert engine.asked == [(task(3).prompt, SAMPLING)]


async def test_notes_beyond_the_context_are_merged_in_levels() -> None:
    engine = Engine()
    *deltas, last = await merged(engine, task(12, "A cat sits. " * 40), 2048)
    assert deltas == [TextDelta("A "), TextDelta("day.")]  # of the last level alone
    assert isinstance(last, Merged) and last.levels >= 2
    assert last.usage == TokenUsage(100 * len(engine.asked), 3 * len(engine.asked))
    *below, (_, final_sampling) = engine.asked
    assert final_sampling == SAMPLING
    assert all(sampling.num_logprobs is None for _, sampling in below)


async def test_an_engine_that_stops_in_the_middle_is_an_error() -> None:
    class Broken(Engine):
        async def generate(self, *_: Any) -> AsyncIterator[TextDelta | Generation]:
            yield TextDelta("A ")

    with pytest.raises(EngineFailed):
        await merged(Broken(), task(12, "A cat sits. " * 40), 2048)
