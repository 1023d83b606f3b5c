"""VisionLanguageModel streams the engine's text, and exits if its engine dies."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from deployments import vision_language_model
from deployments.config import AppSettings
from deployments.model_choice import ModelChoice, choose_model
from deployments.vision_language_model import CANARY, EXIT_WITHOUT_ENGINE, VisionLanguageModel
from pipeline.errors import EngineDied, EngineFailed
from pipeline.types import (
    ChunkText,
    DecodeReport,
    Generation,
    PreparedChunk,
    Prompt,
    TextDelta,
    TokenSampling,
    TokenUsage,
    Turn,
    VideoSegment,
)

PROMPT, SAMPLING, TURN = Prompt("What happens?"), TokenSampling(8, 0.0, 1.0, 0, 1), Turn(priority=5)
REPORT = DecodeReport(2, (), "planned", None, 0.1)
CHUNK = PreparedChunk((VideoSegment(np.zeros((4, 1536), np.uint8), (1, 2, 2), (0.25,), "id"),), REPORT)
END = Generation("A cat.", "stop", TokenUsage(20, 3), 0.2)


class FakeEngine:
    """Writes one text, and records what it was asked for."""

    max_model_len = 4096
    failure: Exception | None = None
    is_dead = False

    def __init__(self, engine_args: dict[str, Any], lora_adapters: dict[str, str], *, runs_in_serve: bool) -> None:
        self.engine_args, self.lora_adapters, self.runs_in_serve = engine_args, lora_adapters, runs_in_serve
        self.asked: list[tuple[Any, ...]] = []
        self.is_shut_down = self.is_killed = False
        self.stalled_seconds = 0.0

    async def generate(
        self,
        prompt: Prompt,
        token_sampling: TokenSampling,
        chunk: PreparedChunk | None = None,
        *,
        turn: Turn | None = None,
        traceparent: str | None = None,
    ) -> AsyncIterator[TextDelta | Generation]:
        self.asked.append((prompt, token_sampling, chunk, turn))
        yield TextDelta("A ")
        await asyncio.sleep(0)
        if self.failure:
            raise self.failure
        yield TextDelta("cat.")
        yield END

    async def check_alive(self) -> None:
        if self.is_dead:
            raise EngineDied("The engine died.")

    def kill(self) -> None:
        self.is_killed = True

    def shutdown(self) -> None:
        self.is_shut_down = True


@pytest.fixture
def choice() -> ModelChoice:
    return choose_model(AppSettings(), num_gpus=0, vllm_has_cuda=False)


@pytest.fixture
def model(choice: ModelChoice, monkeypatch: pytest.MonkeyPatch) -> VisionLanguageModel:
    module = ModuleType("deployments.engine.engine")
    module.Engine = FakeEngine  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setattr(os, "environ", dict(os.environ))
    return VisionLanguageModel(choice)


def engine_of(model: VisionLanguageModel) -> FakeEngine:
    engine = model._engine
    assert isinstance(engine, FakeEngine)
    return engine


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The statuses with which the process would have exited."""
    statuses: list[int] = []
    monkeypatch.setattr(vision_language_model.os, "_exit", statuses.append)
    return statuses


def test_the_engine_is_made_of_the_choice(model: VisionLanguageModel, choice: ModelChoice) -> None:
    engine = engine_of(model)
    assert (engine.engine_args, engine.lora_adapters) == (choice.engine_args, choice.lora_adapters)
    assert engine.runs_in_serve
    assert asyncio.run(model.max_model_len()) == 4096
    assert choice.environment.items() <= os.environ.items()
    assert os.environ["OMP_NUM_THREADS"] == str(len(os.sched_getaffinity(0)))


def test_an_answer_is_the_text_and_the_report_of_its_frames(model: VisionLanguageModel) -> None:
    assert asyncio.run(model.answer(CHUNK, PROMPT, SAMPLING, TURN)) == ChunkText(END, REPORT)
    assert engine_of(model).asked == [(PROMPT, SAMPLING, CHUNK, TURN)]


def test_a_streamed_answer_comes_in_pieces(model: VisionLanguageModel) -> None:
    async def pieces() -> list[Any]:
        return [piece async for piece in model.stream_answer(CHUNK, PROMPT, SAMPLING, TURN)]

    assert asyncio.run(pieces()) == [TextDelta("A "), TextDelta("cat."), ChunkText(END, REPORT)]


def test_text_is_generated_without_a_chunk(model: VisionLanguageModel) -> None:
    async def pieces() -> list[Any]:
        return [piece async for piece in model.generate(PROMPT, SAMPLING, TURN)]

    assert asyncio.run(pieces()) == [TextDelta("A "), TextDelta("cat."), END]
    assert engine_of(model).asked == [(PROMPT, SAMPLING, None, TURN)]


def test_an_idle_engine_has_to_generate_a_token(model: VisionLanguageModel) -> None:
    asyncio.run(model.check_health())
    assert [asked[:2] for asked in engine_of(model).asked] == [CANARY]


def test_an_engine_at_work_is_not_asked_for_a_token(model: VisionLanguageModel) -> None:
    async def check_while_it_writes() -> None:
        pieces = model.generate(PROMPT, SAMPLING, TURN)
        await anext(pieces)
        await model.check_health()
        assert len(engine_of(model).asked) == 1
        async for _ in pieces:
            pass
        await model.check_health()
        assert len(engine_of(model).asked) == 2

    asyncio.run(check_while_it_writes())


def test_a_failed_generation_is_an_error_and_the_replica_stays(model: VisionLanguageModel, exits: list[int]) -> None:
    engine_of(model).failure = EngineFailed("The engine failed.")
    with pytest.raises(EngineFailed):
        asyncio.run(model.answer(CHUNK, PROMPT, SAMPLING, TURN))
    assert exits == []


def test_a_replica_exits_when_its_engine_dies_at_work(model: VisionLanguageModel, exits: list[int]) -> None:
    engine_of(model).failure = EngineDied("The engine died.")
    with pytest.raises(EngineFailed):  # the process is gone by then, outside of this test
        asyncio.run(model.answer(CHUNK, PROMPT, SAMPLING, TURN))
    assert exits == [EXIT_WITHOUT_ENGINE]


def test_a_health_check_ends_a_replica_without_engine(model: VisionLanguageModel, exits: list[int]) -> None:
    engine_of(model).is_dead = True
    asyncio.run(model.check_health())
    assert exits == [EXIT_WITHOUT_ENGINE]


def test_an_engine_that_hangs_is_killed_and_the_replica_exits(
    model: VisionLanguageModel, choice: ModelChoice, exits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vision_language_model, "GRACE_SECONDS", 0)
    engine_of(model).stalled_seconds = choice.stall_seconds - 1
    asyncio.run(model.check_health())
    assert not engine_of(model).is_killed and exits == []
    engine_of(model).stalled_seconds = choice.stall_seconds
    asyncio.run(model.check_health())
    assert engine_of(model).is_killed and exits == [EXIT_WITHOUT_ENGINE]


def test_steps_that_were_not_read_yet_are_waited_for(
    model: VisionLanguageModel, choice: ModelChoice, exits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read_steps(seconds: float) -> None:
        engine_of(model).stalled_seconds = 0.0

    engine_of(model).stalled_seconds = choice.stall_seconds
    monkeypatch.setattr(asyncio, "sleep", read_steps)
    asyncio.run(model.check_health())
    assert not engine_of(model).is_killed and exits == []


def test_a_canary_may_outlast_the_check_and_its_failure_is_the_next_ones(
    model: VisionLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vision_language_model, "CANARY_SECONDS", 0.01)
    answer = asyncio.Event()

    async def check_ready() -> None:
        await answer.wait()
        raise EngineFailed("The engine failed.")

    async def check_twice() -> None:
        monkeypatch.setattr(model, "check_ready", check_ready)
        await model.check_health()
        await model.check_health()
        answer.set()
        with pytest.raises(EngineFailed):
            await model.check_health()

    asyncio.run(check_twice())


def test_the_engine_ends_with_its_owner(model: VisionLanguageModel, choice: ModelChoice) -> None:
    engine = engine_of(VisionLanguageModel(replace(choice)))
    assert engine.is_shut_down
