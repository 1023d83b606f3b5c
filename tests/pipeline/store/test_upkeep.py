"""Upkeep deletes expired analyses and their uploads, and fails analyses that no runner picks up."""

from __future__ import annotations

import pytest

from pipeline.errors import AnalysisNotFound
from pipeline.store import AnalysisStatus, AnalysisStore
from tests.pipeline.store.conftest import FakeClock
from tests.pipeline.store.samples import ANSWER, MODEL, RESULT_BODY, new


def test_results_expire(store: AnalysisStore, clock: FakeClock) -> None:
    analysis_id = store.analyses.create(new())[0].analysis_id
    claimed = store.leases.claim([MODEL])
    assert claimed
    store.answers.keep("key", claimed.lease, ANSWER)
    store.leases.complete(claimed.lease, RESULT_BODY)
    clock.now += 999
    assert store.upkeep.delete_expired() == 0
    clock.now += 2
    assert store.upkeep.delete_expired() == 1
    with pytest.raises(AnalysisNotFound):
        store.analyses.get(analysis_id)
    store.analyses.create(new())
    another = store.leases.claim([MODEL])
    assert another and store.answers.find("key", 1, another.lease) is None


def test_expired_analyses_are_deleted_in_batches(store: AnalysisStore, clock: FakeClock) -> None:
    for _ in range(5):
        for number in range(50):
            store.analyses.cancel(store.analyses.create(new(number))[0].analysis_id)
    clock.now += 1001
    assert [store.upkeep.delete_expired() for _ in range(4)] == [100, 100, 50, 0]


def test_an_analysis_expires_only_after_its_upload_is_deleted(store: AnalysisStore, clock: FakeClock) -> None:
    analysis_id = store.analyses.create(new(owned_file_id="file-1"))[0].analysis_id
    assert store.upkeep.uploads_of_ended() == []
    store.analyses.cancel(analysis_id)
    assert store.upkeep.uploads_of_ended() == [(analysis_id, "file-1")]
    clock.now += 1001
    assert store.upkeep.delete_expired() == 0
    store.upkeep.upload_is_gone(analysis_id)
    assert store.upkeep.uploads_of_ended() == []
    assert store.upkeep.delete_expired() == 1


def test_an_analysis_that_no_runner_picks_up_fails(store: AnalysisStore, clock: FakeClock) -> None:
    forgotten = store.analyses.create(new(model="another"))[0].analysis_id
    clock.now += 1001
    fresh = store.analyses.create(new())[0].analysis_id
    assert store.upkeep.fail_forgotten() == 1
    assert store.analyses.get(forgotten).status == AnalysisStatus.FAILED
    assert store.analyses.get(fresh).status == AnalysisStatus.QUEUED
    (event,) = store.analyses.events(forgotten)
    assert event.failure and (event.kind, event.failure.type) == ("failed", "deadline_exceeded")
    assert store.analyses.get(forgotten).failure == event.failure


def test_a_long_running_analysis_does_not_fail(store: AnalysisStore, clock: FakeClock) -> None:
    store.analyses.create(new())
    claimed = store.leases.claim([MODEL])
    assert claimed
    clock.now += 5000
    store.leases.renew([claimed.lease])
    assert store.upkeep.fail_forgotten() == 0
