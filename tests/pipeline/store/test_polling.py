"""Polling returns each event once, whichever process serves the poll."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.errors import AnalysisNotFound
from pipeline.store import AnalysisStatus, AnalysisStore, EventKind
from tests.pipeline.store.damage import damage
from tests.pipeline.store.samples import MODEL, PLAN_EVENT, RESULT_BODY, chunk_event, new, text_event

KINDS = (EventKind.CHUNK, EventKind.RESULT)


def test_each_event_is_returned_once(opened: Callable[[], AnalysisStore]) -> None:
    store, other = opened(), opened()
    analysis_id = store.analyses.create(new())[0].analysis_id
    assert store.polling.take(analysis_id, KINDS) == []
    claimed = store.leases.claim([MODEL])
    assert claimed
    store.leases.append(claimed.lease, [PLAN_EVENT, chunk_event(0)])
    assert [event.body for event in store.polling.take(analysis_id, KINDS)] == [chunk_event(0).body]
    assert other.polling.take(analysis_id, KINDS) == []
    store.leases.append(claimed.lease, [chunk_event(1), text_event("A")])
    store.leases.complete(claimed.lease, RESULT_BODY)
    assert [event.kind for event in other.polling.take(analysis_id, KINDS)] == ["chunk", "result"]
    assert store.polling.take(analysis_id, KINDS) == []


def test_only_one_of_many_concurrent_polls_gets_an_event(opened: Callable[[], AnalysisStore]) -> None:
    stores = [opened() for _ in range(4)]
    analysis_id = stores[0].analyses.create(new())[0].analysis_id
    claimed = stores[0].leases.claim([MODEL])
    assert claimed
    stores[0].leases.append(claimed.lease, [chunk_event(index) for index in range(20)])
    with ThreadPoolExecutor(8) as pool:
        takings = list(pool.map(lambda turn: stores[turn % 4].polling.take(analysis_id, KINDS), range(16)))
    assert sorted(len(taken) for taken in takings) == [0] * 15 + [20]


def test_polling_an_unknown_analysis_raises(store: AnalysisStore) -> None:
    with pytest.raises(AnalysisNotFound):
        store.polling.take("analysis-1", KINDS)


def test_polling_a_deleted_analysis_raises(store: AnalysisStore) -> None:
    analysis_id = store.analyses.create(new())[0].analysis_id
    claimed = store.leases.claim([MODEL])
    assert claimed
    store.leases.complete(claimed.lease, RESULT_BODY)
    assert len(store.polling.take(analysis_id, KINDS)) == 1
    store.analyses.delete(analysis_id)
    with pytest.raises(AnalysisNotFound):
        store.polling.take(analysis_id, KINDS)


def test_counts_by_status_and_number_of_retries(store: AnalysisStore) -> None:
    assert store.polling.counts() == {}
    for number in range(3):
        store.analyses.create(new(number))
    claimed = store.leases.claim([MODEL])
    assert claimed
    assert store.polling.counts() == {AnalysisStatus.QUEUED: 2, AnalysisStatus.RUNNING: 1}
    assert store.polling.num_retried() == 0
    store.leases.release(claimed.lease, pause_seconds=0, counts=True)
    assert store.leases.claim([MODEL])
    assert store.polling.num_retried() == 1


def test_a_status_of_another_release_is_not_counted(store: AnalysisStore) -> None:
    ids = [store.analyses.create(new(number))[0].analysis_id for number in range(2)]
    damage(store, ids[0], {"status": "archived"})
    assert store.polling.counts() == {AnalysisStatus.QUEUED: 1}
