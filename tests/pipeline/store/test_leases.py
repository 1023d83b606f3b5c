"""An analysis is run by one at a time, and by the next one when that one is gone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.errors import LeaseLost
from pipeline.store import AnalysisStatus, AnalysisStore, ClaimedRun, NewEvent, Progress
from tests.pipeline.store.conftest import FakeClock
from tests.pipeline.store.samples import ANSWER_EVENT, MODEL, chunk_event, new


def claimed_by(store: AnalysisStore) -> ClaimedRun:
    claimed = store.runs.claim([MODEL])
    assert claimed
    return claimed


def test_none_is_claimed_twice(opened: Callable[[], AnalysisStore]) -> None:
    stores = [opened() for _ in range(4)]
    asked = {stores[0].analyses.create(new(number))[0].analysis_id for number in range(40)}
    with ThreadPoolExecutor(16) as pool:
        claims = list(pool.map(lambda turn: stores[turn % 4].runs.claim([MODEL]), range(200)))
    ids = [claim.run.analysis_id for claim in claims if claim]
    assert len(ids) == len(set(ids))
    while claim := stores[0].runs.claim([MODEL]):  # what others skipped while it was claimed
        ids.append(claim.run.analysis_id)
    assert len(ids) == 40 and set(ids) == asked


def test_the_oldest_goes_first_and_brings_its_job(store: AnalysisStore) -> None:
    first, _ = store.analyses.create(new(1))
    store.analyses.create(new(2))
    claimed = claimed_by(store)
    assert claimed.record.analysis_id == first.analysis_id
    assert claimed.record.status == AnalysisStatus.RUNNING
    assert claimed.job == new(1).job
    assert (claimed.attempts, claimed.told_plan, claimed.told_chunks, claimed.told_text) == (1, False, frozenset(), "")


def test_another_models_waits(store: AnalysisStore) -> None:
    store.analyses.create(new(model="another"))
    assert store.runs.claim([MODEL]) is None
    assert store.runs.claim([MODEL, "another"])


def test_who_is_not_heard_of_loses_it(store: AnalysisStore, clock: FakeClock) -> None:
    analysis_id = store.analyses.create(new())[0].analysis_id
    first = claimed_by(store)
    store.runs.append(first.run, [NewEvent("plan", "{}"), chunk_event(2)], Progress(1, 3))
    store.runs.append(first.run, [chunk_event(0, success=False), chunk_event(1, success=False), chunk_event(1)])
    store.runs.append(first.run, [NewEvent("delta", '{"text": "A "}'), NewEvent("delta", '{"text": "cat"}')])
    clock.now += 9
    assert store.runs.claim([MODEL]) is None
    assert store.runs.renew([first.run]) == {first.run}
    clock.now += 9
    assert store.runs.claim([MODEL]) is None
    clock.now += 2
    second = claimed_by(store)
    assert second.run.lease != first.run.lease
    assert (second.told_plan, second.told_chunks, second.told_text) == (True, {0, 1, 2}, "A cat")
    assert second.failed_chunks == {0}
    assert store.runs.held([first.run, second.run]) == {second.run}
    assert store.runs.renew([first.run, second.run]) == {second.run}
    with pytest.raises(LeaseLost):
        store.runs.append(first.run, [chunk_event(1)])
    with pytest.raises(LeaseLost):
        store.runs.finish(first.run, AnalysisStatus.COMPLETED, ANSWER_EVENT)
    store.runs.release(first.run, pause_seconds=0, counts=True)
    assert store.runs.held([second.run]) == {second.run}
    store.runs.finish(second.run, AnalysisStatus.COMPLETED, ANSWER_EVENT)
    assert [event.number for event in store.analyses.events(analysis_id)] == list(range(1, 9))
    assert store.runs.claim([MODEL]) is None


def test_a_cancelled_one_takes_no_more(store: AnalysisStore) -> None:
    analysis_id = store.analyses.create(new())[0].analysis_id
    claimed = claimed_by(store)
    store.analyses.cancel(analysis_id)
    with pytest.raises(LeaseLost):
        store.runs.append(claimed.run, [chunk_event(0)])


def test_attempts_count_while_nothing_is_told(store: AnalysisStore, clock: FakeClock) -> None:
    store.analyses.create(new())
    for attempt in (1, 2):
        claimed = claimed_by(store)
        assert claimed.attempts == attempt
        store.runs.release(claimed.run, pause_seconds=5, counts=True)
        assert store.runs.claim([MODEL]) is None
        clock.now += 6
    claimed = claimed_by(store)
    store.runs.append(claimed.run, [NewEvent("plan", "{}")])
    store.runs.release(claimed.run, pause_seconds=0, counts=False)
    claimed = claimed_by(store)
    assert claimed.attempts == 3
    store.runs.append(claimed.run, [chunk_event(0)])
    clock.now += 11
    assert claimed_by(store).attempts == 1


def test_the_secrets_go_when_it_ends(store: AnalysisStore) -> None:
    store.analyses.create(new())
    claimed = claimed_by(store)
    dump = _dump(store)
    assert "signature=secret" in dump
    store.runs.finish(claimed.run, AnalysisStatus.FAILED, NewEvent("error", "{}"))
    assert "signature=secret" not in _dump(store)


def _dump(store: AnalysisStore) -> str:
    import sqlalchemy

    with store.database.reading() as connection:
        return str(connection.execute(sqlalchemy.text("SELECT * FROM analyses")).all())
