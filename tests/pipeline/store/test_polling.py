"""Who polls gets each event once, from whichever process it is asked."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.errors import AnalysisNotFound
from pipeline.store import AnalysisStatus, AnalysisStore, NewEvent
from tests.pipeline.store.samples import ANSWER_EVENT, MODEL, chunk_event, new

NAMES = ("chunk", "answer")


def test_each_event_is_taken_once(opened: Callable[[], AnalysisStore]) -> None:
    store, other = opened(), opened()
    analysis_id = store.analyses.create(new())[0].analysis_id
    assert store.polling.take(analysis_id, NAMES) == []
    claimed = store.runs.claim([MODEL])
    assert claimed
    store.runs.append(claimed.run, [NewEvent("plan", "{}"), chunk_event(0)])
    assert [event.body for event in store.polling.take(analysis_id, NAMES)] == [chunk_event(0).body]
    assert other.polling.take(analysis_id, NAMES) == []
    store.runs.append(claimed.run, [chunk_event(1), NewEvent("delta", '{"text": "A"}')])
    store.runs.finish(claimed.run, AnalysisStatus.COMPLETED, ANSWER_EVENT)
    assert [event.name for event in other.polling.take(analysis_id, NAMES)] == ["chunk", "answer"]
    assert store.polling.take(analysis_id, NAMES) == []


def test_of_many_that_take_at_once_one_gets_it(opened: Callable[[], AnalysisStore]) -> None:
    stores = [opened() for _ in range(4)]
    analysis_id = stores[0].analyses.create(new())[0].analysis_id
    claimed = stores[0].runs.claim([MODEL])
    assert claimed
    stores[0].runs.append(claimed.run, [chunk_event(index) for index in range(20)])
    with ThreadPoolExecutor(8) as pool:
        takings = list(pool.map(lambda turn: stores[turn % 4].polling.take(analysis_id, NAMES), range(16)))
    assert sorted(len(taken) for taken in takings) == [0] * 15 + [20]


def test_one_that_is_not_there(store: AnalysisStore) -> None:
    with pytest.raises(AnalysisNotFound):
        store.polling.take("analysis-1", NAMES)


def test_what_was_taken_goes_with_its_analysis(store: AnalysisStore) -> None:
    analysis_id = store.analyses.create(new())[0].analysis_id
    claimed = store.runs.claim([MODEL])
    assert claimed
    store.runs.finish(claimed.run, AnalysisStatus.COMPLETED, ANSWER_EVENT)
    assert len(store.polling.take(analysis_id, NAMES)) == 1
    store.analyses.delete(analysis_id)
    with pytest.raises(AnalysisNotFound):
        store.polling.take(analysis_id, NAMES)


def test_how_many_there_are_of_each(store: AnalysisStore) -> None:
    assert store.polling.counts() == {}
    for number in range(3):
        store.analyses.create(new(number))
    claimed = store.runs.claim([MODEL])
    assert claimed
    assert store.polling.counts() == {AnalysisStatus.QUEUED: 2, AnalysisStatus.RUNNING: 1}
    assert store.polling.num_retried() == 0
    store.runs.release(claimed.run, pause_seconds=0, counts=True)
    assert store.runs.claim([MODEL])
    assert store.polling.num_retried() == 1
