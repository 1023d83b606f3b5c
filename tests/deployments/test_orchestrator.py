"""Orchestrator over fake stages: the order of its events, its limits, and merges that fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import ray

from deployments.api.options import AnalysisOptions
from deployments.config import AnalysisSettings, AppSettings
from deployments.model_choice import choose_model
from deployments.orchestrator import Orchestrator
from pipeline.analysis import AnalysisDone, AnalysisJob, AnswerDelta, ChunkDone, PlanReady, Progress
from pipeline.answers.merging import Merged
from pipeline.config import StoreSettings
from pipeline.errors import DecodeFailed, EngineBusy, EngineFailed, InvalidRequest
from pipeline.types import ChunkPlan, ChunkText, Generation, LocalVideo, Prompt, TextDelta, TokenUsage
from tests.deployments.api.fakes import ANSWERED, ONE_CHUNK_PLAN, PLAN
from tests.deployments.fake_handles import FakeHandle
from tests.deployments.telemetry.fake_metrics import recorded

CHOICE = choose_model(AppSettings(), num_gpus=0, vllm_has_cuda=False)


@pytest.fixture(autouse=True)
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    node = {"Alive": True, "Resources": {"object_store_memory": 2.0**30}}
    monkeypatch.setattr(ray, "nodes", lambda: [node])
    with recorded():
        yield


class Stages:
    """What the other deployments answer."""

    def __init__(self, plan: ChunkPlan = PLAN) -> None:
        self.plan_result: ChunkPlan | Exception = plan
        self.chunk_error: Exception | None = None
        self.merge_error: Exception | None = None
        self.sampling_error: Exception | None = None
        self.merged_text = "All day."

    def orchestrator(self, folder: Path, **settings: Any) -> Orchestrator:
        engine = FakeHandle(
            max_model_len=self.max_model_len,
            check_ready=self.check_ready,
            check_token_sampling=self.check_token_sampling,
            answer=self.answer,
            stream_answer=self.stream_answer,
        )
        return Orchestrator(
            FakeHandle(plan=self.plan),
            FakeHandle(decode=lambda *_: None),
            engine,
            FakeHandle(merge=self.merge),
            AnalysisSettings(**settings),
            StoreSettings(data_dir=folder),
            CHOICE,
        )

    async def plan(self, *_: Any) -> ChunkPlan:
        if isinstance(self.plan_result, Exception):
            raise self.plan_result
        return self.plan_result

    async def max_model_len(self) -> int:
        return 16384

    async def check_ready(self) -> None:
        raise EngineFailed("no token")

    async def check_token_sampling(self, _: Any) -> None:
        if self.sampling_error:
            raise self.sampling_error

    async def answer(self, *_: Any) -> ChunkText:
        if self.chunk_error:
            raise self.chunk_error
        assert ANSWERED.text
        return ANSWERED.text

    async def stream_answer(self, *_: Any) -> Any:
        yield TextDelta("A cat ")
        yield TextDelta("sits.")
        yield ANSWERED.text

    async def merge(self, *_: Any) -> Any:
        if self.merge_error:
            raise self.merge_error
        yield TextDelta(self.merged_text)
        yield Merged(Generation(self.merged_text, "stop", TokenUsage(50, 5), 0.1), TokenUsage(60, 6), 2)


def job(**options: Any) -> AnalysisJob:
    return AnalysisOptions.model_validate(options).job(LocalVideo("cat.mp4"), Prompt("What happens?"), CHOICE)


async def events_of(orchestrator: Orchestrator, asked: AnalysisJob) -> list[Any]:
    return [event async for event in orchestrator.analyze(asked)]


async def test_chunks_are_answered_then_merged(tmp_path: Path) -> None:
    events = await events_of(Stages().orchestrator(tmp_path), job())
    assert [type(event) for event in events] == [
        PlanReady, ChunkDone, Progress, ChunkDone, Progress, Progress, AnswerDelta, AnalysisDone,
    ]  # fmt: skip
    done = events[-1]
    assert (done.answer, done.merge_levels, done.answer_error) == ("All day.", 2, None)
    assert done.usage == TokenUsage(2 * 100 + 60, 2 * 7 + 6)
    assert [answer.chunk_index for answer in done.chunk_answers] == [0, 1]


async def test_the_text_of_an_only_chunk_is_streamed(tmp_path: Path) -> None:
    events = await events_of(Stages(ONE_CHUNK_PLAN).orchestrator(tmp_path), job())
    assert [type(event) for event in events] == [
        PlanReady, AnswerDelta, AnswerDelta, ChunkDone, Progress, AnalysisDone,
    ]  # fmt: skip
    assert (events[-1].answer, events[-1].merge_levels) == ("A cat sits.", 0)


async def test_without_aggregation_nothing_is_merged(tmp_path: Path) -> None:
    done = (await events_of(Stages().orchestrator(tmp_path), job(aggregate=False)))[-1]
    assert (done.answer, done.num_answered) == (None, 2)


async def test_a_failed_merge_keeps_the_chunks(tmp_path: Path) -> None:
    stages = Stages()
    stages.merge_error = EngineFailed("No room.")
    done = (await events_of(stages.orchestrator(tmp_path), job()))[-1]
    assert (done.answer, done.answer_error, done.num_answered) == (None, "No room.", 2)


async def test_the_answer_comes_with_its_times(tmp_path: Path) -> None:
    stages = Stages()
    stages.merged_text = "[00:05] A cat sits. [01:00] It leaves."
    done = (await events_of(stages.orchestrator(tmp_path), job()))[-1]
    assert [(citation.seconds, citation.start, citation.stop) for citation in done.citations] == [
        (5, 0, 7),
        (60, 20, 27),
    ]
    assert [(result.start_seconds, result.stop_seconds, result.text) for result in done.timed_results] == [
        (5, 60, "A cat sits."),
        (60, PLAN.video.duration_seconds, "It leaves."),
    ]


async def test_failed_chunks_are_not_merged(tmp_path: Path) -> None:
    stages = Stages()
    stages.chunk_error = DecodeFailed("No frame.")
    done = (await events_of(stages.orchestrator(tmp_path), job()))[-1]
    assert (done.answer, done.num_answered, done.merge_levels) == (None, 0, 0)


@pytest.mark.parametrize("what", ["plan_result", "sampling_error"])
async def test_what_prevents_a_plan_is_raised(what: str, tmp_path: Path) -> None:
    stages = Stages()
    setattr(stages, what, InvalidRequest("It cannot be."))
    with pytest.raises(InvalidRequest):
        await events_of(stages.orchestrator(tmp_path), job(response_format={"type": "json_object"}))


async def test_a_full_orchestrator_refuses_one_more(tmp_path: Path) -> None:
    orchestrator = Stages().orchestrator(tmp_path, max_analyses=1)
    async with aclosing(orchestrator.analyze(job())) as running:
        await anext(running)
        with pytest.raises(EngineBusy, match="1 analyses are running"):
            await events_of(orchestrator, job())
    assert isinstance((await events_of(orchestrator, job()))[-1], AnalysisDone)


async def test_an_estimate_learns_from_analyses(tmp_path: Path) -> None:
    orchestrator = Stages().orchestrator(tmp_path)
    before = await orchestrator.estimate(job())
    await events_of(orchestrator, job())
    after = await orchestrator.estimate(job())
    assert (before.work, before.expected.inference) == (after.work, None)
    assert after.expected.inference == pytest.approx(2 * 2.5)


async def test_readiness_is_the_engines(tmp_path: Path) -> None:
    orchestrator = Stages().orchestrator(tmp_path)
    assert await orchestrator.max_model_len() == 16384
    with pytest.raises(EngineFailed):
        await orchestrator.check_ready()
