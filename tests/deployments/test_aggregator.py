"""Aggregator merges notes with the engine, level by level, and streams the last level's text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest
from ray.serve.handle import DeploymentHandle

from deployments.aggregator import Aggregator
from pipeline.answers.merging import Merged, MergeTask
from pipeline.answers.prompting import DEFAULT_MERGE_INSTRUCTION, text_token_bound
from pipeline.errors import EngineFailed, InvalidRequest
from pipeline.types import Generation, Note, Prompt, TextDelta, TokenSampling, TokenUsage, Trail, Turn

SAMPLING = TokenSampling(max_tokens=100, temperature=0.0, top_p=1.0, top_k=0, seed=3, num_logprobs=2)
TURN, TRAIL = Turn(priority=7, cache_salt="salt"), Trail("analysis")


@dataclass
class FakeEngine:
    """A handle of VisionLanguageModel that numbers its texts and records what it was asked."""

    has_end: bool = True
    asked: list[tuple[Prompt, TokenSampling, Turn, Trail]] = field(default_factory=list)

    @property
    def generate(self) -> FakeEngine:
        return self

    def options(self, **options: Any) -> FakeEngine:
        assert options == {"stream": True}
        return self

    async def remote(self, *asked: Any) -> AsyncIterator[TextDelta | Generation]:
        self.asked.append(cast(tuple[Prompt, TokenSampling, Turn, Trail], asked))
        text = f"text {len(self.asked)}"
        for word in text.split():
            await asyncio.sleep(0)
            yield TextDelta(word)
        if self.has_end:
            yield Generation(text, "stop", TokenUsage(10, 2), 0.1)


def task_of(*texts: str) -> MergeTask:
    notes = tuple(Note(10.0 * place, 10.0 * (place + 1), text) for place, text in enumerate(texts))
    return MergeTask(Prompt("What happens?"), DEFAULT_MERGE_INSTRUCTION, notes)


def merged(engine: FakeEngine, task: MergeTask, max_model_len: int) -> list[TextDelta | Merged]:
    async def pieces() -> list[TextDelta | Merged]:
        aggregator = Aggregator(cast(DeploymentHandle, engine))
        return [piece async for piece in aggregator.merge(task, SAMPLING, max_model_len, TURN, TRAIL)]

    return asyncio.run(pieces())


def test_notes_that_fit_take_one_generation() -> None:
    engine, task = FakeEngine(), task_of("A cat.", "A dog.")
    *deltas, end = merged(engine, task, max_model_len=100_000)
    assert deltas == [TextDelta("text"), TextDelta("1")]
    assert end == Merged(Generation("text 1", "stop", TokenUsage(10, 2), 0.1), TokenUsage(10, 2), levels=1)
    assert engine.asked == [(task.prompt, SAMPLING, TURN, TRAIL)]


def test_notes_that_outgrow_the_context_are_merged_in_levels() -> None:
    engine, task = FakeEngine(), task_of(*(word * 60 for word in ("cat. ", "dog. ", "owl. ", "elk. ")))
    max_model_len = text_token_bound(task.prompt) - 1 + SAMPLING.max_tokens
    *deltas, end = merged(engine, task, max_model_len)
    first, second, last = engine.asked
    intermediate = replace(SAMPLING, max_tokens=min(100, max_model_len // 8), num_logprobs=None)
    assert [sampling for _, sampling, _, _ in engine.asked] == [intermediate, intermediate, SAMPLING]
    assert "cat." in first[0].text and "elk." in second[0].text
    assert "text 1" in last[0].text and "text 2" in last[0].text and "cat." not in last[0].text
    assert deltas == [TextDelta("text"), TextDelta("3")]  # only the answer itself is streamed
    assert isinstance(end, Merged)
    assert (end.generation.text, end.usage, end.levels) == ("text 3", TokenUsage(30, 6), 2)


def test_every_prompt_leaves_room_for_the_text() -> None:
    engine = FakeEngine()
    merged(engine, task_of(*("An owl crosses the yard. " * 20 for _ in range(30))), max_model_len=2000)
    assert len(engine.asked) > 3
    assert all(text_token_bound(prompt) + SAMPLING.max_tokens <= 2000 for prompt, *_ in engine.asked)


def test_a_context_without_room_for_notes_is_refused_before_the_engine_is_asked() -> None:
    engine = FakeEngine()
    with pytest.raises(InvalidRequest, match="leave no room for the notes"):
        merged(engine, task_of("A cat.", "A dog."), max_model_len=400)
    assert engine.asked == []


def test_an_intermediate_text_without_an_end_fails_the_merge() -> None:
    task = task_of(*(word * 60 for word in ("cat. ", "dog. ", "owl. ")))
    with pytest.raises(EngineFailed, match="had no end"):
        merged(FakeEngine(has_end=False), task, text_token_bound(task.prompt) - 1 + SAMPLING.max_tokens)
