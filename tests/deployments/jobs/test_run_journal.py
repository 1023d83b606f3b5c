"""A run's events are stored once, whatever earlier runs of the analysis stored."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from deployments.config import AppSettings
from deployments.jobs import run_journal
from deployments.jobs.run_journal import RunJournal
from deployments.model_choice import choose_model
from deployments.wire.stored_events import event_data
from pipeline.analysis import AnalysisEvent, AnswerDelta, ChunkDone, PlanReady, Progress
from pipeline.config import StoreSettings
from pipeline.errors import DecodeFailed, LeaseLost
from pipeline.store import AnalysisStatus, AnalysisStore, AsyncAnalysisStore, ClaimedAnalysis, EventKind, open_store
from pipeline.types import ChunkFailure
from tests.deployments.fake_orchestrator import answer_of, plan_of
from tests.pipeline.store.samples import MODEL, new

CHOICE = choose_model(AppSettings(), num_gpus=0, vllm_has_cuda=False)
PLAN = plan_of(3)
ANSWERS = [ChunkDone(answer_of(chunk)) for chunk in PLAN.chunks]
LOST = ChunkDone(replace(ANSWERS[1].answer, text=None, failure=ChunkFailure("decode_failed", "No frame.")))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AnalysisStore]:
    store = open_store(StoreSettings(data_dir=tmp_path))
    store.analyses.create(new())
    yield store
    store.close()


def claimed_by(store: AnalysisStore) -> ClaimedAnalysis:
    claimed = store.leases.claim([MODEL])
    assert claimed
    return claimed


async def run(store: AnalysisStore, claimed: ClaimedAnalysis, events: Sequence[AnalysisEvent]) -> None:
    """One run, which then releases the analysis."""
    journal = RunJournal(AsyncAnalysisStore(store).leases, claimed, CHOICE)
    for event in events:
        await journal.record(event)
    store.leases.release(claimed.lease, pause_seconds=0, counts=True)


def kinds(store: AnalysisStore, analysis_id: str) -> list[EventKind]:
    return [event.kind for event in store.analyses.events(analysis_id)]


async def test_a_later_run_adds_only_what_is_new(store: AnalysisStore) -> None:
    claimed = claimed_by(store)
    analysis_id = claimed.lease.analysis_id
    await run(store, claimed, [PlanReady(PLAN), ANSWERS[0], Progress(1, 3), LOST])
    before = kinds(store, analysis_id)
    assert before == ["plan", "chunk", "progress", "chunk", "progress"]
    await run(store, claimed_by(store), [PlanReady(PLAN), LOST, ANSWERS[0], ANSWERS[1], ANSWERS[2]])
    assert kinds(store, analysis_id)[len(before) :] == ["chunk", "progress", "chunk", "progress"]
    record = store.analyses.get(analysis_id)
    assert (record.chunks_done, record.num_chunks, record.merging) == (3, 3, False)


async def test_progress_counts_the_chunks_of_all_runs(store: AnalysisStore) -> None:
    claimed = claimed_by(store)
    await run(store, claimed, [PlanReady(PLAN), ANSWERS[0], ANSWERS[1]])
    await run(store, claimed_by(store), [PlanReady(PLAN), ANSWERS[2], Progress(3, 3, merging=True)])
    events = store.analyses.events(claimed.lease.analysis_id, kinds=[EventKind.PROGRESS])
    found = [json.loads(event_data(event)) for event in events]
    assert [body["chunks_done"] for body in found] == [1, 2, 3, 3]
    assert [body["stage"] for body in found] == ["chunks", "chunks", "chunks", "merging"]
    assert store.analyses.get(claimed.lease.analysis_id).merging is False  # released


@pytest.mark.parametrize(
    ("later", "expected"), [(["A cat", " sits."], "A cat sits."), (["A dog", " sits."], "A c"), (["A"], "A c")]
)
async def test_text_continues_where_it_is_the_same(store: AnalysisStore, later: list[str], expected: str) -> None:
    claimed = claimed_by(store)
    await run(store, claimed, [PlanReady(PLAN), AnswerDelta("A c"), Progress(3, 3)])
    await run(store, claimed_by(store), [PlanReady(PLAN), *map(AnswerDelta, later), Progress(3, 3, merging=True)])
    texts = store.analyses.events(claimed.lease.analysis_id, kinds=[EventKind.TEXT])
    assert "".join(event.text or "" for event in texts) == expected


async def test_pieces_that_follow_fast_are_one_event(store: AnalysisStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_journal, "FLUSH_SECONDS", 60.0)
    claimed = claimed_by(store)
    pieces = [AnswerDelta(text) for text in "A cat sits."]
    await run(store, claimed, [PlanReady(PLAN), *pieces, Progress(3, 3, merging=True)])
    (event,) = store.analyses.events(claimed.lease.analysis_id, kinds=[EventKind.TEXT])
    assert event.text == "A cat sits."


async def test_a_failure_is_kept_and_an_unexpected_one_says_nothing(store: AnalysisStore) -> None:
    claimed = claimed_by(store)
    journal = RunJournal(AsyncAnalysisStore(store).leases, claimed, CHOICE)
    await journal.fail(DecodeFailed("No frame.", param="video_url"))
    record = store.analyses.get(claimed.lease.analysis_id)
    assert record.failure and (record.failure.type, record.failure.param) == ("decode_failed", "video_url")
    store.analyses.create(new(1))
    claimed = claimed_by(store)
    await RunJournal(AsyncAnalysisStore(store).leases, claimed, CHOICE).fail(ZeroDivisionError("host_path"))
    record = store.analyses.get(claimed.lease.analysis_id)
    assert record.failure and record.failure.type == "internal_error" and "host_path" not in record.failure.message


async def test_a_run_that_lost_its_lease_stores_nothing(store: AnalysisStore) -> None:
    claimed = claimed_by(store)
    journal = RunJournal(AsyncAnalysisStore(store).leases, claimed, CHOICE)
    store.analyses.cancel(claimed.lease.analysis_id)
    with pytest.raises(LeaseLost):
        await journal.record(PlanReady(PLAN))
    assert kinds(store, claimed.lease.analysis_id) == ["cancelled"]
    assert store.analyses.get(claimed.lease.analysis_id).status == AnalysisStatus.CANCELLED
