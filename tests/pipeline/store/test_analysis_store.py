"""Stores over one database."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.store import AnalysisStore
from tests.pipeline.store.conftest import FakeClock
from tests.pipeline.store.samples import MODEL, new


def test_the_settings_reach_every_part(store: AnalysisStore, clock: FakeClock) -> None:
    analysis_id = store.analyses.create(new())[0].analysis_id
    claimed = store.leases.claim([MODEL])
    assert claimed
    clock.now += 9
    assert store.leases.claim([MODEL]) is None
    clock.now += 2  # lease_seconds is 10
    assert store.leases.claim([MODEL])
    store.analyses.cancel(analysis_id)
    record = store.analyses.get(analysis_id)
    assert record.completed_at and record.expires_at == record.completed_at + 1000


def test_two_stores_see_the_same(opened: Callable[[], AnalysisStore]) -> None:
    first, second = opened(), opened()
    analysis_id = first.analyses.create(new())[0].analysis_id
    claimed = second.leases.claim([MODEL])
    assert claimed and claimed.lease.analysis_id == analysis_id
    first.analyses.cancel(analysis_id)
    assert second.leases.held([claimed.lease]) == frozenset()


def test_a_closed_store_opens_anew(opened: Callable[[], AnalysisStore]) -> None:
    store = opened()
    analysis_id = store.analyses.create(new())[0].analysis_id
    store.close()
    assert opened().analyses.get(analysis_id)
