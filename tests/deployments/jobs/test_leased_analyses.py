"""Stored analyses end with the answer that they would have had undisturbed, whatever is lost on the way."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deployments.config import AppSettings
from deployments.jobs import leased_analyses
from deployments.jobs.leased_analyses import LeasedAnalyses
from deployments.model_choice import ModelChoice, choose_model
from deployments.wire.stored_events import EVENT_NAMES, event_data
from pipeline import errors
from pipeline.analysis import AnalysisEvent, AnalysisJob, ChunkDone
from pipeline.config import StoreSettings
from pipeline.store import AnalysisStatus, AnalysisStore, AsyncAnalysisStore, open_store
from pipeline.types import Chunk, ChunkAnswer, ChunkFailure
from tests.deployments.fake_orchestrator import FakeOrchestrator
from tests.pipeline.store.damage import damage
from tests.pipeline.store.samples import new, text_event

SETTINGS = StoreSettings(lease_seconds=1, max_attempts=3, max_running=2)
CHOICE: ModelChoice = choose_model(AppSettings(lora_adapters={"sports": "a/folder"}), num_gpus=0, vllm_has_cuda=False)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AnalysisStore]:
    store = open_store(SETTINGS.model_copy(update={"data_dir": tmp_path}))
    yield store
    store.close()


@pytest.fixture
def orchestrator(store: AnalysisStore) -> FakeOrchestrator:
    return FakeOrchestrator(store, CHOICE)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leased_analyses, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(leased_analyses, "BUSY_PAUSE_SECONDS", 0.01)


@asynccontextmanager
async def running(store: AnalysisStore, orchestrator: FakeOrchestrator) -> AsyncIterator[LeasedAnalyses]:
    """A runner at work."""
    analyses = LeasedAnalyses(AsyncAnalysisStore(store), orchestrator, SETTINGS, CHOICE)
    task = asyncio.create_task(analyses.run())
    try:
        yield analyses
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def ask(store: AnalysisStore) -> str:
    return store.analyses.create(new(model=CHOICE.served_model_name))[0].analysis_id


async def until(condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what}: not within {seconds} s"
        await asyncio.sleep(0.01)


async def until_ended(store: AnalysisStore, analysis_id: str) -> AnalysisStatus:
    await until(lambda: store.analyses.get(analysis_id).is_finished, "the end")
    return store.analyses.get(analysis_id).status


def events(store: AnalysisStore, analysis_id: str) -> list[tuple[str, Any]]:
    found = store.analyses.events(analysis_id)
    assert [event.number for event in found] == list(range(1, len(found) + 1))
    return [(EVENT_NAMES[event.kind], json.loads(event_data(event))) for event in found]


def names(store: AnalysisStore, analysis_id: str) -> list[str]:
    return [name for name, _ in events(store, analysis_id)]


async def test_an_analysis_is_run_and_told(store: AnalysisStore, orchestrator: FakeOrchestrator) -> None:
    analysis_id = ask(store)
    async with running(store, orchestrator):
        assert await until_ended(store, analysis_id) == AnalysisStatus.COMPLETED
    told = events(store, analysis_id)
    assert [name for name, _ in told[:1] + told[-1:]] == ["plan", "answer"]
    chunks = [body["chunk_index"] for name, body in told if name == "chunk"]
    assert sorted(chunks) == list(range(6))
    progress = [body for name, body in told if name == "progress"]
    assert [body["chunks_done"] for body in progress] == [1, 2, 3, 4, 5, 6, 6]
    assert progress[-1]["stage"] == "merging"
    text = "".join(body["text"] for name, body in told if name == "delta")
    answer = told[-1][1]
    assert text == answer["aggregated_response"] == "Scene 0.Scene 1.Scene 2.Scene 3.Scene 4.Scene 5."
    assert not answer["partial"]
    assert not any(chunk["answer_reused"] for chunk in answer["chunk_results"])
    record = store.analyses.get(analysis_id)
    assert (record.chunks_done, record.num_chunks, record.merging) == (6, 6, False)
    assert record.started_at and record.completed_at


async def test_the_same_question_again_takes_the_answers(store: AnalysisStore, orchestrator: FakeOrchestrator) -> None:
    async with running(store, orchestrator):
        await until_ended(store, ask(store))
        again = ask(store)
        await until_ended(store, again)
    assert set(orchestrator.computed.values()) == {1}
    answer = events(store, again)[-1][1]
    assert all(chunk["answer_reused"] for chunk in answer["chunk_results"])


async def test_it_ends_also_when_it_is_woken_in_the_same_moment(
    store: AnalysisStore, orchestrator: FakeOrchestrator
) -> None:
    analyses = LeasedAnalyses(AsyncAnalysisStore(store), orchestrator, SETTINGS, CHOICE)
    task = asyncio.create_task(analyses.run())
    await asyncio.sleep(0.1)  # it waits for something to do
    analyses.wake()
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=2)
    assert task.cancelled()


async def test_only_so_many_run_at_once(store: AnalysisStore, orchestrator: FakeOrchestrator) -> None:
    orchestrator.chunk_seconds = 0.05
    asked = [ask(store) for _ in range(5)]
    most = 0
    async with running(store, orchestrator):
        while not all(store.analyses.get(analysis_id).is_finished for analysis_id in asked):
            most = max(most, orchestrator.under_way)
            await asyncio.sleep(0.01)
    assert most == SETTINGS.max_running


async def test_a_cancelled_one_stops_within_a_second(store: AnalysisStore, orchestrator: FakeOrchestrator) -> None:
    orchestrator.chunk_seconds = 0.2
    analysis_id = ask(store)
    async with running(store, orchestrator):
        await until(lambda: "chunk" in names(store, analysis_id), "a chunk")
        store.analyses.cancel(analysis_id)
        await until(lambda: orchestrator.under_way == 0, "the end of the work", seconds=1)
        await asyncio.sleep(0.5)
    assert names(store, analysis_id)[-1] == "cancelled"
    assert store.analyses.get(analysis_id).status == AnalysisStatus.CANCELLED


async def test_two_runners_run_each_once(store: AnalysisStore) -> None:
    orchestrators = [FakeOrchestrator(store, CHOICE, num_chunks=2, chunk_seconds=0.02) for _ in range(2)]
    starts: list[str] = []
    for orchestrator in orchestrators:
        analyze = orchestrator.analyze
        orchestrator.analyze = lambda job, analyze=analyze: starts.append(job.lease.analysis_id) or analyze(job)  # type: ignore[method-assign,func-returns-value,union-attr]
    asked = [ask(store) for _ in range(10)]
    async with running(store, orchestrators[0]), running(store, orchestrators[1]):
        for analysis_id in asked:
            await until_ended(store, analysis_id)
    assert sorted(starts) == sorted(asked)


async def test_another_runner_takes_over(store: AnalysisStore) -> None:
    first = FakeOrchestrator(store, CHOICE, num_chunks=12, chunk_seconds=0.1)
    second = FakeOrchestrator(store, CHOICE, num_chunks=12)
    analysis_id = ask(store)
    claimed = store.leases.claim([CHOICE.served_model_name])  # by one that died at once
    assert claimed
    store.leases.release(claimed.lease, pause_seconds=0, counts=True)
    async with running(store, first):
        await until(lambda: store.analyses.get(analysis_id).chunks_done >= 5, "some chunks")
    done = store.analyses.get(analysis_id).chunks_done
    assert store.analyses.get(analysis_id).status == AnalysisStatus.RUNNING
    async with running(store, second):
        assert await until_ended(store, analysis_id) == AnalysisStatus.COMPLETED
    assert second.computed.total() <= 12 - done
    told = names(store, analysis_id)
    assert (told.count("plan"), told.count("chunk"), told.count("answer")) == (1, 12, 1)
    answer = events(store, analysis_id)[-1][1]
    assert [chunk["response"] for chunk in answer["chunk_results"]] == [f"Scene {index}." for index in range(12)]
    assert not any(chunk["answer_reused"] for chunk in answer["chunk_results"])


async def test_a_run_without_its_runner_begins_no_further_chunk(store: AnalysisStore) -> None:
    """The Orchestrator outlives a runner that is killed; the one that follows has the lease."""
    orchestrator = FakeOrchestrator(store, CHOICE, num_chunks=12, chunk_seconds=0.05)
    ask(store)
    claimed = store.leases.claim([CHOICE.served_model_name])
    assert claimed
    job = replace(claimed.job.job, lease=claimed.lease)

    async def cancel_after_the_first_chunk() -> None:
        async for happened in orchestrator.analyze(job):
            if isinstance(happened, ChunkDone):
                store.analyses.cancel(claimed.lease.analysis_id)

    with pytest.raises(errors.LeaseLost):
        await cancel_after_the_first_chunk()
    assert orchestrator.computed.total() <= 8


@pytest.mark.parametrize("error_type", ["replica_lost", "engine_died", "deadline_exceeded", "internal_error"])
async def test_a_chunk_that_was_lost_with_the_server_is_asked_again(
    store: AnalysisStore, orchestrator: FakeOrchestrator, error_type: str
) -> None:
    def fail_twice(chunk: Chunk) -> ChunkAnswer | None:
        is_lost = chunk.index == 3 and orchestrator.computed[3] <= 2
        failure = ChunkFailure(error_type, "Lost.")
        return ChunkAnswer(3, 15.0, 20.0, 0.0, 4, None, failure) if is_lost else None

    orchestrator.trouble = fail_twice
    analysis_id = ask(store)
    async with running(store, orchestrator):
        assert await until_ended(store, analysis_id) == AnalysisStatus.COMPLETED
    answer = events(store, analysis_id)[-1][1]
    assert not answer["partial"]
    assert orchestrator.computed[3] == 3
    assert max(orchestrator.computed[index] for index in range(6) if index != 3) <= 3  # in flight both times


async def test_a_chunk_that_is_lost_each_time_is_left_out(store: AnalysisStore, orchestrator: FakeOrchestrator) -> None:
    failure = ChunkFailure("replica_lost", "Lost.")
    orchestrator.trouble = lambda chunk: ChunkAnswer(3, 15.0, 20.0, 0.0, 4, None, failure) if chunk.index == 3 else None
    analysis_id = ask(store)
    async with running(store, orchestrator):
        assert await until_ended(store, analysis_id) == AnalysisStatus.COMPLETED
    answer = events(store, analysis_id)[-1][1]
    assert answer["partial"] and answer["coverage"]["failed_chunks"] == [3]


async def test_a_merge_that_was_lost_is_made_again(store: AnalysisStore, orchestrator: FakeOrchestrator) -> None:
    errors_left = ["The merge: a replica was lost."]
    orchestrator.merge_error = lambda: errors_left.pop() if errors_left else None
    analysis_id = ask(store)
    async with running(store, orchestrator):
        await until_ended(store, analysis_id)
    assert events(store, analysis_id)[-1][1]["aggregation_error"] is None
    assert set(orchestrator.computed.values()) == {1}


@pytest.mark.parametrize(
    ("error", "times", "status", "type_name"),
    [
        (errors.SourceNotFound("No such video."), 1, AnalysisStatus.FAILED, "source_not_found"),
        (errors.ReplicaLost("Lost."), 2, AnalysisStatus.COMPLETED, None),
        (errors.ReplicaLost("Lost."), 99, AnalysisStatus.FAILED, "replica_lost"),
        (errors.EngineBusy("Full."), 20, AnalysisStatus.COMPLETED, None),
        (ZeroDivisionError("host_path"), 99, AnalysisStatus.FAILED, "internal_error"),
    ],
)
async def test_an_analysis_that_cannot_begin(
    store: AnalysisStore,
    orchestrator: FakeOrchestrator,
    error: Exception,
    times: int,
    status: AnalysisStatus,
    type_name: str | None,
) -> None:
    analyze, left = orchestrator.analyze, [error] * times

    async def fail_first(job: Any) -> Any:
        if left:
            raise left.pop()
        async for event in analyze(job):
            yield event

    orchestrator.analyze = fail_first  # type: ignore[method-assign]
    analysis_id = ask(store)
    async with running(store, orchestrator):
        assert await until_ended(store, analysis_id) == status
    name, body = events(store, analysis_id)[-1]
    if type_name:
        assert (name, body["error"]["type"]) == ("error", type_name)
        assert "host_path" not in json.dumps(body)


async def test_one_that_brings_the_server_down_each_time_fails(
    store: AnalysisStore, orchestrator: FakeOrchestrator
) -> None:
    analysis_id = ask(store)
    for _ in range(SETTINGS.max_attempts):
        claimed = store.leases.claim([CHOICE.served_model_name])
        assert claimed
        store.leases.release(claimed.lease, pause_seconds=0, counts=True)
    async with running(store, orchestrator):
        assert await until_ended(store, analysis_id) == AnalysisStatus.FAILED
    assert events(store, analysis_id)[-1][1]["error"]["type"] == "service_error"
    assert orchestrator.computed.total() == 0


async def test_a_text_that_comes_out_differently_is_not_mixed(
    store: AnalysisStore, orchestrator: FakeOrchestrator
) -> None:
    analysis_id = ask(store)
    claimed = store.leases.claim([CHOICE.served_model_name])
    assert claimed
    store.leases.append(claimed.lease, [text_event("Scene 0.Seen 1")])
    store.leases.release(claimed.lease, pause_seconds=0, counts=True)
    async with running(store, orchestrator):
        await until_ended(store, analysis_id)
    told = events(store, analysis_id)
    assert [body["text"] for name, body in told if name == "delta"] == ["Scene 0.Seen 1"]
    assert told[-1][1]["aggregated_response"].startswith("Scene 0.Scene 1.")


async def test_a_text_goes_on_where_it_was(store: AnalysisStore, orchestrator: FakeOrchestrator) -> None:
    analysis_id = ask(store)
    claimed = store.leases.claim([CHOICE.served_model_name])
    assert claimed
    store.leases.append(claimed.lease, [text_event("Scene 0.Sce")])
    store.leases.release(claimed.lease, pause_seconds=0, counts=True)
    async with running(store, orchestrator):
        await until_ended(store, analysis_id)
    told = events(store, analysis_id)
    assert "".join(body["text"] for name, body in told if name == "delta") == told[-1][1]["aggregated_response"]


async def test_poison_is_run_once(store: AnalysisStore, orchestrator: FakeOrchestrator) -> None:
    """Each further run would crash replicas again."""

    async def analyze(job: AnalysisJob) -> AsyncGenerator[AnalysisEvent, None]:
        orchestrator.computed[0] += 1
        raise errors.RequestPoisoned("The plan: 2 replicas crashed while they worked on it.")
        yield

    orchestrator.analyze = analyze  # type: ignore[method-assign]
    analysis_id = ask(store)
    async with running(store, orchestrator):
        assert await until_ended(store, analysis_id) == AnalysisStatus.FAILED
    failure = store.analyses.get(analysis_id).failure
    assert failure and failure.type == "request_poisoned"
    assert orchestrator.computed[0] == 1


async def test_a_chunk_that_is_poison_is_not_repeated(store: AnalysisStore, orchestrator: FakeOrchestrator) -> None:
    poison = ChunkFailure("request_poisoned", "Chunk 2: 2 replicas crashed while they worked on it.")
    failed = ChunkAnswer(2, 0.0, 1.0, 1.0, 2, None, poison)
    orchestrator.trouble = lambda chunk: failed if chunk.index == 2 else None
    analysis_id = ask(store)
    async with running(store, orchestrator):
        assert await until_ended(store, analysis_id) == AnalysisStatus.COMPLETED
    answer = events(store, analysis_id)[-1][1]
    assert answer["partial"]
    assert orchestrator.computed[2] == 1


async def test_a_merge_that_is_poison_is_not_repeated(store: AnalysisStore, orchestrator: FakeOrchestrator) -> None:
    merges: list[int] = []

    def fail() -> str:
        merges.append(1)
        return "The merge: 2 replicas crashed while they worked on it."

    orchestrator.merge_error, orchestrator.is_poisoned = fail, True
    analysis_id = ask(store)
    async with running(store, orchestrator):
        assert await until_ended(store, analysis_id) == AnalysisStatus.COMPLETED
    assert len(merges) == 1
    assert events(store, analysis_id)[-1][1]["aggregation_error"].startswith("The merge")


async def test_a_job_that_cannot_be_read_holds_up_no_other(
    store: AnalysisStore, orchestrator: FakeOrchestrator
) -> None:
    damaged, sound = ask(store), ask(store)
    damage(store, damaged, {"job": "{"})
    async with running(store, orchestrator):
        assert await until_ended(store, sound) == AnalysisStatus.COMPLETED
    failure = store.analyses.get(damaged).failure
    assert failure and failure.type == "unreadable_record"
