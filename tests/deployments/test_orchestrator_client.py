"""OrchestratorHandle: the calls that it makes over a Serve handle, and when it cancels them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from deployments.logs import follow
from deployments.orchestrator_client import OrchestratorHandle, begin_trail
from pipeline.analysis import AnalysisDone, AnalysisJob, PlanReady
from pipeline.errors import EngineBusy, ReplicaLost
from pipeline.types import NO_TRAIL, Trail
from tests.deployments.api.fakes import WHOLE
from tests.deployments.fake_handles import FakeHandle as FakeReplica
from tests.deployments.serving.replica_errors import LOSSES

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class FakeCall:
    """The response of a streaming call."""

    def __init__(self, events: tuple[Any, ...]) -> None:
        self._events = events
        self.is_cancelled = False

    async def __aiter__(self) -> AsyncIterator[Any]:
        for event in self._events:
            if isinstance(event, Exception):
                raise event
            yield event

    def cancel(self) -> None:
        self.is_cancelled = True


class FakeHandle:
    """A DeploymentHandle of which only `analyze` is called. Every call gets `events`, but the first ones `lost`."""

    def __init__(self, *events: Any, lost: tuple[tuple[Any, ...], ...] = ()) -> None:
        self.call = FakeCall(events)
        self._lost = [FakeCall(before) for before in lost]
        self.jobs: list[AnalysisJob] = []

    def options(self, *, stream: bool) -> FakeHandle:
        assert stream
        return self

    @property
    def analyze(self) -> FakeHandle:
        return self

    def remote(self, job: AnalysisJob) -> FakeCall:
        self.jobs.append(job)
        return self._lost.pop(0) if self._lost else self.call


def job(trail: Trail = NO_TRAIL) -> AnalysisJob:
    fields: dict[str, Any] = dict.fromkeys(
        ("source", "prompt", "chunking", "token_sampling", "chunk_token_sampling", "aggregate", "merge_instruction")
    )
    return AnalysisJob(**fields, asked_at=0, trail=trail)


async def test_events_pass_and_a_whole_analysis_is_not_cancelled() -> None:
    handle = FakeHandle(*WHOLE)
    assert [event async for event in OrchestratorHandle(handle).analyze(job())] == list(WHOLE)
    assert not handle.call.is_cancelled


async def test_a_reader_that_stops_at_the_answer_cancels_nothing() -> None:
    handle = FakeHandle(*WHOLE)
    async with aclosing(OrchestratorHandle(handle).analyze(job())) as events:
        async for event in events:
            if isinstance(event, AnalysisDone):
                break
    assert not handle.call.is_cancelled


async def test_a_reader_that_stops_before_cancels_the_analysis() -> None:
    handle = FakeHandle(*WHOLE)
    async with aclosing(OrchestratorHandle(handle).analyze(job())) as events:
        assert isinstance(await anext(events), PlanReady)
    assert handle.call.is_cancelled


async def test_an_error_passes() -> None:
    with pytest.raises(EngineBusy):
        await anext(OrchestratorHandle(FakeHandle(EngineBusy("full"))).analyze(job()))


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
async def test_an_orchestrator_that_is_lost_before_the_plan_is_retried(loss: Exception) -> None:
    handle = FakeHandle(*WHOLE, lost=((loss,),))
    assert [event async for event in OrchestratorHandle(handle).analyze(job())] == list(WHOLE)
    first, second = handle.jobs
    assert first == second  # the same analysis, by its id


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: type(loss).__name__)
async def test_an_orchestrator_that_is_lost_after_the_plan_is_told(loss: Exception) -> None:
    handle = FakeHandle(WHOLE[0], loss)
    events = OrchestratorHandle(handle).analyze(job())
    assert await anext(events) == WHOLE[0]
    with pytest.raises(ReplicaLost):
        await anext(events)
    assert len(handle.jobs) == 1


async def test_a_request_that_loses_two_orchestrators_is_not_sent_to_a_third() -> None:
    handle = FakeHandle(*WHOLE, lost=((LOSSES[0],), (LOSSES[0],)))
    with pytest.raises(ReplicaLost):
        await anext(OrchestratorHandle(handle).analyze(job()))
    assert len(handle.jobs) == 2


@pytest.mark.parametrize("num_lost", [1, 2])
async def test_a_question_to_an_orchestrator_that_is_lost(num_lost: int) -> None:
    lost = [LOSSES[0]] * num_lost

    async def max_model_len() -> int:
        if lost:
            raise lost.pop()
        return 4096

    client = OrchestratorHandle(FakeReplica(max_model_len=max_model_len))
    if num_lost == 1:
        assert await client.max_model_len() == 4096
    else:
        with pytest.raises(ReplicaLost):
            await client.max_model_len()


async def test_an_analysis_starts_below_the_current_span_with_an_id_of_its_own() -> None:
    handle = FakeHandle(*WHOLE)
    before = follow(Trail(traceparent=TRACEPARENT))
    try:
        for _ in range(2):
            await anext(OrchestratorHandle(handle).analyze(job()))
    finally:
        follow(before)
    first, second = (sent.trail for sent in handle.jobs)
    assert first.traceparent == second.traceparent == TRACEPARENT
    assert first.analysis_id and first.analysis_id.startswith("analysis-")
    assert first.analysis_id != second.analysis_id


def test_an_analysis_that_has_a_name_keeps_it() -> None:
    assert begin_trail(Trail("analysis-1", traceparent=TRACEPARENT)) == Trail("analysis-1", traceparent=TRACEPARENT)
