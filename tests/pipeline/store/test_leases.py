"""An analysis is run by one at a time, and by the next one when that one is gone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipeline.analysis import Progress
from pipeline.errors import LeaseLost
from pipeline.store import AnalysisFailure, AnalysisStatus, AnalysisStore, ClaimedAnalysis
from pipeline.store.analyses import UNREADABLE_RECORD
from tests.pipeline.store.conftest import FakeClock
from tests.pipeline.store.damage import damage
from tests.pipeline.store.samples import MODEL, PLAN_EVENT, RESULT_BODY, chunk_event, new, text_event


def claimed_by(store: AnalysisStore) -> ClaimedAnalysis:
    claimed = store.leases.claim([MODEL])
    assert claimed
    return claimed


def test_none_is_claimed_twice(opened: Callable[[], AnalysisStore]) -> None:
    stores = [opened() for _ in range(4)]
    asked = {stores[0].analyses.create(new(number))[0].analysis_id for number in range(40)}
    with ThreadPoolExecutor(16) as pool:
        claims = list(pool.map(lambda turn: stores[turn % 4].leases.claim([MODEL]), range(200)))
    ids = [claim.lease.analysis_id for claim in claims if claim]
    assert len(ids) == len(set(ids))
    while claim := stores[0].leases.claim([MODEL]):  # what others skipped while it was claimed
        ids.append(claim.lease.analysis_id)
    assert len(ids) == 40 and set(ids) == asked


def test_the_oldest_goes_first_and_brings_its_job(store: AnalysisStore) -> None:
    first, _ = store.analyses.create(new(1))
    store.analyses.create(new(2))
    claimed = claimed_by(store)
    assert claimed.record.analysis_id == first.analysis_id
    assert claimed.record.status == AnalysisStatus.RUNNING
    assert claimed.job == new(1).job
    assert (claimed.attempts, claimed.has_plan, claimed.stored_chunks, claimed.stored_text) == (
        1,
        False,
        frozenset(),
        "",
    )


def test_another_models_waits(store: AnalysisStore) -> None:
    store.analyses.create(new(model="another"))
    assert store.leases.claim([MODEL]) is None
    assert store.leases.claim([MODEL, "another"])


def test_who_is_not_heard_of_loses_it(store: AnalysisStore, clock: FakeClock) -> None:
    analysis_id = store.analyses.create(new())[0].analysis_id
    first = claimed_by(store)
    store.leases.append(first.lease, [PLAN_EVENT, chunk_event(2)], Progress(1, 3))
    store.leases.append(first.lease, [chunk_event(0, success=False), chunk_event(1, success=False), chunk_event(1)])
    store.leases.append(first.lease, [text_event("A "), text_event("cat")])
    clock.now += 9
    assert store.leases.claim([MODEL]) is None
    assert store.leases.renew([first.lease]) == {first.lease}
    clock.now += 9
    assert store.leases.claim([MODEL]) is None
    clock.now += 2
    second = claimed_by(store)
    assert second.lease.token != first.lease.token
    assert (second.has_plan, second.stored_chunks, second.stored_text) == (True, {0, 1, 2}, "A cat")
    assert second.failed_chunks == {0}
    assert store.leases.held([first.lease, second.lease]) == {second.lease}
    assert store.leases.renew([first.lease, second.lease]) == {second.lease}
    with pytest.raises(LeaseLost):
        store.leases.append(first.lease, [chunk_event(1)])
    with pytest.raises(LeaseLost):
        store.leases.complete(first.lease, RESULT_BODY)
    store.leases.release(first.lease, pause_seconds=0, counts=True)
    assert store.leases.held([second.lease]) == {second.lease}
    store.leases.complete(second.lease, RESULT_BODY)
    assert [event.number for event in store.analyses.events(analysis_id)] == list(range(1, 9))
    assert store.leases.claim([MODEL]) is None


def test_a_cancelled_one_takes_no_more(store: AnalysisStore) -> None:
    analysis_id = store.analyses.create(new())[0].analysis_id
    claimed = claimed_by(store)
    store.analyses.cancel(analysis_id)
    with pytest.raises(LeaseLost):
        store.leases.append(claimed.lease, [chunk_event(0)])


def test_attempts_count_while_nothing_is_told(store: AnalysisStore, clock: FakeClock) -> None:
    store.analyses.create(new())
    for attempt in (1, 2):
        claimed = claimed_by(store)
        assert claimed.attempts == attempt
        store.leases.release(claimed.lease, pause_seconds=5, counts=True)
        assert store.leases.claim([MODEL]) is None
        clock.now += 6
    claimed = claimed_by(store)
    store.leases.append(claimed.lease, [PLAN_EVENT])
    store.leases.release(claimed.lease, pause_seconds=0, counts=False)
    claimed = claimed_by(store)
    assert claimed.attempts == 3
    store.leases.append(claimed.lease, [chunk_event(0)])
    clock.now += 11
    assert claimed_by(store).attempts == 1


def test_text_of_any_characters_comes_back(store: AnalysisStore, clock: FakeClock) -> None:
    analysis_id = store.analyses.create(new())[0].analysis_id
    store.leases.append(claimed_by(store).lease, [text_event("A\0 “cat”\n"), text_event("🐈")])
    clock.now += 11
    assert claimed_by(store).stored_text == "A\0 “cat”\n🐈"
    assert [event.text for event in store.analyses.events(analysis_id)] == ["A\0 “cat”\n", "🐈"]


def test_why_it_failed(store: AnalysisStore) -> None:
    analysis_id = store.analyses.create(new())[0].analysis_id
    claimed, failure = claimed_by(store), AnalysisFailure("decode_failed", "No frame.\0", "video_url")
    store.leases.append(claimed.lease, [PLAN_EVENT])
    store.leases.fail(claimed.lease, failure)
    record = store.analyses.get(analysis_id)
    assert (record.status, record.failure) == (AnalysisStatus.FAILED, failure)
    assert store.analyses.page(limit=1).records == (record,)
    assert [(event.kind, event.failure) for event in store.analyses.events(analysis_id)] == [
        ("plan", None),
        ("failed", failure),
    ]
    with pytest.raises(LeaseLost):
        store.leases.fail(claimed.lease, failure)


def test_the_secrets_go_when_it_ends(store: AnalysisStore) -> None:
    store.analyses.create(new())
    claimed = claimed_by(store)
    dump = _dump(store)
    assert "signature=secret" in dump
    store.leases.fail(claimed.lease, AnalysisFailure("engine_died", "Gone."))
    assert "signature=secret" not in _dump(store)


def _dump(store: AnalysisStore) -> str:
    import sqlalchemy

    with store.database.reading() as connection:
        return str(connection.execute(sqlalchemy.text("SELECT * FROM analyses")).all())


@pytest.mark.parametrize("job", ["{", "null", "", '{"job": {}}', "[" * 5000, None])
def test_a_job_that_cannot_be_read_fails_and_holds_up_no_other(store: AnalysisStore, job: str | None) -> None:
    ids = [store.analyses.create(new(number))[0].analysis_id for number in range(3)]
    for damaged in ids[:2]:
        damage(store, damaged, {"job": job})
    claimed = store.leases.claim([MODEL])
    assert claimed and claimed.record.analysis_id == ids[2]
    assert store.leases.claim([MODEL]) is None
    for damaged in ids[:2]:
        record = store.analyses.get(damaged)
        assert (record.status, record.failure) == (AnalysisStatus.FAILED, UNREADABLE_RECORD)
        assert [event.failure for event in store.analyses.events(damaged)] == [UNREADABLE_RECORD]
