"""Orchestrator composes the stages: which are called, in which order, and what a failure costs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
import ray
from ray.exceptions import RayActorError
from ray.serve.handle import DeploymentHandle

from deployments.config import AnalysisSettings, AppSettings
from deployments.model_choice import choose_model
from deployments.orchestrator import Orchestrator
from pipeline.analysis import (
    AnalysisDone,
    AnalysisEvent,
    AnalysisJob,
    AnswerDelta,
    ChunkDone,
    PlanReady,
    Progress,
)
from pipeline.answers.merging import Merged, MergeTask
from pipeline.config import StoreSettings
from pipeline.errors import DecodeFailed, EngineBusy, EngineFailed, InvalidRequest
from pipeline.types import (
    Chunk,
    ChunkingRequest,
    ChunkPlan,
    ChunkText,
    DecodeReport,
    FrameSampling,
    Generation,
    JsonFormat,
    LocalVideo,
    Prompt,
    TextDelta,
    TokenBudget,
    TokenSampling,
    TokenUsage,
)
from tests.deployments.fake_orchestrator import plan_of

SAMPLING = TokenSampling(max_tokens=8, temperature=0.0, top_p=1.0, top_k=0, seed=1)
FRAMES = FrameSampling(2.0, None, 768, 4096, 8192, 10**6, 4)
JOB = AnalysisJob(
    LocalVideo("a.mp4"),
    Prompt("What happens?"),
    ChunkingRequest(5.0, 0.0, 0.0, None, FRAMES),
    SAMPLING,
    SAMPLING,
    True,
    "Merge.",
    1.8e9,
)
MODEL_LEN = 4096


class FakeMethod:
    """One method of a handle: `remote` calls a function of the test's."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.remote = function

    def options(self, **options: Any) -> FakeMethod:
        return self


class FakeHandle:
    """A deployment's handle, made of functions."""

    def __init__(self, **functions: Callable[..., Any]) -> None:
        for name, function in functions.items():
            setattr(self, name, FakeMethod(function))

    def options(self, **options: Any) -> FakeHandle:
        return self


@dataclass
class Stages:
    """The stages below an Orchestrator. They record their calls, and may be told to fail."""

    num_chunks: int = 3
    calls: list[str] = field(default_factory=list)
    budgets: list[TokenBudget] = field(default_factory=list)
    merged: list[MergeTask] = field(default_factory=list)
    plan_failures: list[Exception] = field(default_factory=list)
    refused_sampling: Exception | None = None
    failing_chunk: int | None = None
    merge_failure: Exception | None = None
    may_answer: asyncio.Event | None = None

    async def plan(self, source: Any, request: Any, budget: TokenBudget, trail: Any) -> ChunkPlan:
        self.calls.append("plan")
        self.budgets.append(budget)
        if self.plan_failures:
            raise self.plan_failures.pop(0)
        return plan_of(self.num_chunks)

    def decode(self, source: Any, video: Any, chunk: Chunk, trail: Any) -> Chunk:
        self.calls.append(f"decode {chunk.index}")
        return chunk  # stands for the reference to its frames

    async def answer(self, chunk: Chunk, *rest: Any) -> ChunkText:
        if self.may_answer:
            await self.may_answer.wait()
        await asyncio.sleep(0.02 * (self.num_chunks - chunk.index))  # the last one first
        return self._text(chunk)

    async def stream_answer(self, chunk: Chunk, *rest: Any) -> AsyncIterator[TextDelta | ChunkText]:
        yield TextDelta("Scene ")
        yield TextDelta(f"{chunk.index}.")
        yield self._text(chunk)

    def _text(self, chunk: Chunk) -> ChunkText:
        self.calls.append(f"answer {chunk.index}")
        if chunk.index == self.failing_chunk:
            raise DecodeFailed("No frame could be decoded.")
        report = DecodeReport(chunk.num_frames, (), "planned", None, 0.1)
        return ChunkText(Generation(f"Scene {chunk.index}.", "stop", TokenUsage(100, 7), 0.1), report)

    async def merge(self, task: MergeTask, *rest: Any) -> AsyncIterator[TextDelta | Merged]:
        self.merged.append(task)
        yield TextDelta("All ")
        if self.merge_failure:
            raise self.merge_failure
        yield TextDelta("scenes.")
        yield Merged(Generation("All scenes.", "stop", TokenUsage(30, 3), 0.1), TokenUsage(30, 3), 1)

    async def max_model_len(self) -> int:
        return MODEL_LEN

    async def check_token_sampling(self, token_sampling: TokenSampling) -> None:
        self.calls.append("check")
        if self.refused_sampling:
            raise self.refused_sampling


@pytest.fixture
def stages(monkeypatch: pytest.MonkeyPatch) -> Stages:
    node = {"Alive": True, "Resources": {"object_store_memory": 10**9}}
    monkeypatch.setattr(ray, "nodes", lambda: [node])
    return Stages()


Build = Callable[..., Orchestrator]


@pytest.fixture
def build(stages: Stages, tmp_path: Path) -> Build:
    def build(**settings: Any) -> Orchestrator:
        def handle(*names: str) -> DeploymentHandle:
            return cast(DeploymentHandle, FakeHandle(**{name: getattr(stages, name) for name in names}))

        return Orchestrator(
            handle("plan"),
            handle("decode"),
            handle("answer", "stream_answer", "max_model_len", "check_token_sampling"),
            handle("merge"),
            AnalysisSettings(**settings),
            StoreSettings(data_dir=tmp_path),
            choose_model(AppSettings(), num_gpus=0, vllm_has_cuda=False),
        )

    return build


def events_of(orchestrator: Orchestrator, job: AnalysisJob = JOB) -> list[AnalysisEvent]:
    async def events() -> list[AnalysisEvent]:
        return [event async for event in orchestrator.analyze(job)]

    return asyncio.run(events())


def text_of(events: list[AnalysisEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, AnswerDelta))


def end_of(events: list[AnalysisEvent]) -> AnalysisDone:
    end = events[-1]
    assert isinstance(end, AnalysisDone)
    return end


def test_chunks_are_announced_as_they_end_and_listed_in_order(stages: Stages, build: Build) -> None:
    events = events_of(build())
    assert isinstance(events[0], PlanReady)
    assert [event.answer.chunk_index for event in events if isinstance(event, ChunkDone)] == [2, 1, 0]
    progress = [event for event in events if isinstance(event, Progress)]
    assert progress == [Progress(1, 3), Progress(2, 3), Progress(3, 3), Progress(3, 3, merging=True)]
    end = end_of(events)
    assert [answer.chunk_index for answer in end.chunk_answers] == [0, 1, 2]
    assert [note.text for note in stages.merged[0].notes] == ["Scene 0.", "Scene 1.", "Scene 2."]


def test_the_answer_is_the_merge_and_its_cost_is_all_of_it(build: Build) -> None:
    events = events_of(build())
    end = end_of(events)
    assert text_of(events) == end.answer == "All scenes."
    assert (end.answer_error, end.merge_levels, end.finish_reason) == (None, 1, "stop")
    assert end.usage == TokenUsage(330, 24)
    assert end.coverage.failed_chunks == ()


def test_the_text_of_the_only_chunk_is_the_answer(stages: Stages, build: Build) -> None:
    stages.num_chunks = 1
    events = events_of(build())
    assert [type(event) for event in events] == [
        PlanReady, AnswerDelta, AnswerDelta, ChunkDone, Progress, AnalysisDone
    ]  # fmt: skip
    assert text_of(events) == end_of(events).answer == "Scene 0."
    assert (stages.merged, end_of(events).merge_levels) == ([], 0)


def test_without_aggregation_nothing_is_merged(stages: Stages, build: Build) -> None:
    events = events_of(build(), replace(JOB, aggregate=False))
    assert stages.merged == []
    assert end_of(events).answer is None
    assert len(end_of(events).chunk_answers) == 3


def test_a_failed_chunk_costs_nothing_but_itself(stages: Stages, build: Build) -> None:
    stages.failing_chunk = 1
    end = end_of(events_of(build()))
    failures = [answer.failure and answer.failure.type for answer in end.chunk_answers]
    assert failures == [None, "decode_failed", None]
    assert end.coverage.failed_chunks == (1,)
    assert [note.text for note in stages.merged[0].notes] == ["Scene 0.", "Scene 2."]
    assert end.answer == "All scenes."


def test_a_failed_merge_keeps_the_chunks_answers(stages: Stages, build: Build) -> None:
    stages.merge_failure = EngineFailed("The engine failed.")
    end = end_of(events_of(build()))
    assert (end.answer, end.answer_error) == (None, "The engine failed.")
    assert all(answer.text for answer in end.chunk_answers)


def test_a_plan_is_made_again_when_chunker_was_lost(stages: Stages, build: Build) -> None:
    stages.plan_failures = [RayActorError()]
    assert end_of(events_of(build())).answer == "All scenes."
    assert stages.calls.count("plan") == 2


def test_what_is_wrong_with_a_video_is_raised_before_any_event(stages: Stages, build: Build) -> None:
    stages.plan_failures = [InvalidRequest("video_start lies behind the video's end.")]
    with pytest.raises(InvalidRequest, match="behind the video's end"):
        events_of(build())
    assert stages.calls == ["plan"]


def test_the_plan_leaves_room_for_prompt_and_text(stages: Stages, build: Build) -> None:
    for prompt in ("Short?", "Long?" * 100):
        events_of(build(), replace(JOB, prompt=Prompt(prompt)))
    short, long = stages.budgets
    assert short.max_model_len == long.max_model_len == MODEL_LEN
    assert short.text_tokens > SAMPLING.max_tokens + len("Short?")
    assert long.text_tokens - short.text_tokens == len("Long?" * 100) - len("Short?")


def test_a_schema_that_the_engine_refuses_costs_no_plan(stages: Stages, build: Build) -> None:
    stages.refused_sampling = InvalidRequest("The schema has a part that is not supported.")
    by_schema = replace(SAMPLING, json_format=JsonFormat('{"type": "object"}'))
    with pytest.raises(InvalidRequest, match="not supported"):
        events_of(build(), replace(JOB, token_sampling=by_schema))
    assert stages.calls == ["check"]


def test_more_analyses_than_allowed_are_refused_until_one_ends(stages: Stages, build: Build) -> None:
    async def ask_thrice() -> None:
        stages.may_answer = asyncio.Event()
        orchestrator = build(max_analyses=1)
        first = orchestrator.analyze(JOB)
        await anext(aiter(first))
        with pytest.raises(EngineBusy, match="1 analyses are under way, the most allowed here"):
            await anext(aiter(orchestrator.analyze(JOB)))
        stages.may_answer.set()
        async for _ in first:
            pass
        assert isinstance(await anext(aiter(orchestrator.analyze(JOB))), PlanReady)

    asyncio.run(ask_thrice())


def test_frames_of_a_second_question_are_not_decoded_again(stages: Stages, build: Build) -> None:
    orchestrator = build()
    events_of(orchestrator)
    first = stages.calls.count("decode 0")
    end = end_of(events_of(orchestrator, replace(JOB, prompt=Prompt("And then?"))))
    assert (first, stages.calls.count("decode 0")) == (1, 1)
    assert all(answer.text and answer.text.decode.is_reused for answer in end.chunk_answers)


def test_an_estimate_plans_and_runs_nothing(stages: Stages, build: Build) -> None:
    estimate = asyncio.run(build().estimate(JOB))
    assert stages.calls == ["plan"]
    assert len(estimate.plan.chunks) == 3
    assert estimate.coverage.frames_used == sum(chunk.num_frames for chunk in estimate.plan.chunks)
