"""Webhooks that are due: each is one sender's at a time, and is kept until it is settled."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from pipeline.store import AnalysisStatus, AnalysisStore, DueWebhook
from tests.pipeline.store.conftest import FakeClock
from tests.pipeline.store.damage import damage
from tests.pipeline.store.samples import new

URL = "https://example.com/hook?token=secret"


def ended(store: AnalysisStore, url: str | None = URL) -> str:
    analysis_id = store.analyses.create(new(webhook_url=url))[0].analysis_id
    assert store.webhooks.claim(lease_seconds=60) is None
    store.analyses.cancel(analysis_id)
    return analysis_id


def test_it_is_due_when_the_analysis_has_ended(store: AnalysisStore, clock: FakeClock) -> None:
    analysis_id = ended(store)
    assert store.webhooks.claim(lease_seconds=60) == DueWebhook(analysis_id, URL, AnalysisStatus.CANCELLED, 1)
    assert store.webhooks.claim(lease_seconds=60) is None
    clock.now += 61  # its sender died
    again = store.webhooks.claim(lease_seconds=60)
    assert again and again.attempt == 2
    store.webhooks.postpone(analysis_id, pause_seconds=300)
    clock.now += 299
    assert store.webhooks.claim(lease_seconds=60) is None
    clock.now += 2
    assert store.webhooks.claim(lease_seconds=60)
    store.webhooks.settle(analysis_id)
    clock.now += 9999
    assert store.webhooks.claim(lease_seconds=60) is None


def test_without_a_url_nothing_is_due(store: AnalysisStore) -> None:
    ended(store, url=None)
    assert store.webhooks.claim(lease_seconds=60) is None


def test_each_is_sent_by_one(opened: Callable[[], AnalysisStore]) -> None:
    stores = [opened() for _ in range(3)]
    for _ in range(20):
        stores[0].analyses.cancel(stores[0].analyses.create(new(webhook_url=URL))[0].analysis_id)
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda turn: stores[turn % 3].webhooks.claim(lease_seconds=60), range(60)))
    ids = [webhook.analysis_id for webhook in found if webhook]
    assert len(ids) == len(set(ids))


def test_a_status_of_another_release_holds_up_no_other(store: AnalysisStore, clock: FakeClock) -> None:
    first, second = ended(store), store.analyses.create(new(webhook_url=URL))[0].analysis_id
    store.analyses.cancel(second)
    damage(store, first, {"status": "archived"})
    due = store.webhooks.claim(lease_seconds=60)
    assert due and due.analysis_id == second
    assert store.webhooks.claim(lease_seconds=60) is None
