"""Listeners of stored analyses receive every event once; one query serves all of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from deployments.api.event_feeds import EventFeeds
from deployments.api.service import Service
from pipeline.errors import DecodeFailed
from pipeline.store import AnalysisStore, AsyncAnalysisStore
from tests.deployments.api.storing import ask, claimed_by, journal_of, numbered
from tests.deployments.api.wire import events_of
from tests.pipeline.store.samples import text_event


async def texts_of(feed: AsyncIterator[bytes]) -> list[str]:
    return [text.decode() async for text in feed]


def counted(monkeypatch: pytest.MonkeyPatch, store: AsyncAnalysisStore, name: str) -> Callable[[], int]:
    """Count the calls of a method of `store.analyses` from now on."""
    method, calls = getattr(store.analyses, name), []

    async def count(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        return await method(*arguments, **named)

    monkeypatch.setattr(store.analyses, name, count)
    return lambda: len(calls)


@pytest.mark.parametrize("end", ["cancel", "delete", "error"])
def test_listening_ends(service: Service, store: AnalysisStore, client: TestClient, end: str) -> None:
    asked = ask(client)["id"]

    async def listen() -> list[str]:
        feed = service.feeds.listen(asked, 0)
        pending = asyncio.ensure_future(texts_of(feed))
        await asyncio.sleep(0.3)
        assert not pending.done()
        if end == "error":
            journal = journal_of(service, claimed_by(store))
            await journal.fail(DecodeFailed("No frame."))
        else:
            store.analyses.cancel(asked)
            if end == "delete":
                store.analyses.delete(asked)
        return await asyncio.wait_for(pending, 5)

    heard = asyncio.run(listen())
    names = [name for text in heard for name, _ in events_of(text)]
    assert names in {"cancel": [["cancelled"]], "error": [["error"]], "delete": [[], ["cancelled"]]}[end]


async def test_200_listeners_hear_everything_in_order_and_ask_the_store_once(
    service: Service, store: AnalysisStore, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ask(client)["id"]
    claimed = claimed_by(store)
    num_polls = counted(monkeypatch, service.analysis_store, "last_events")
    num_reads = counted(monkeypatch, service.analysis_store, "events")
    listeners = [asyncio.ensure_future(texts_of(service.feeds.listen(asked, 0))) for _ in range(150)]
    for start in range(0, 1000, 50):
        batch = [text_event(f"{number} ") for number in range(start, start + 50)]
        await service.analysis_store.leases.append(claimed.lease, batch)
        if start == 500:  # some come late, some have heard a part before
            listeners += [asyncio.ensure_future(texts_of(service.feeds.listen(asked, 0))) for _ in range(25)]
            listeners += [asyncio.ensure_future(texts_of(service.feeds.listen(asked, 300))) for _ in range(25)]
        await asyncio.sleep(0.05)
    store.leases.complete(claimed.lease, '{"timed_results": []}')
    heard = await asyncio.wait_for(asyncio.gather(*listeners), 30)
    assert len(heard) == 200
    for place, texts in enumerate(heard):
        first = 301 if place >= 175 else 1
        assert numbered("".join(texts)) == list(range(first, 1002))
    assert num_polls() < 60 and num_reads() < 60


async def test_an_unreadable_event_ends_its_own_listeners_alone(
    service: Service, store: AnalysisStore, client: TestClient
) -> None:
    broken, healthy = ask(client)["id"], ask(client)["id"]
    for _ in range(2):
        claimed = claimed_by(store)
        body = "no JSON" if claimed.lease.analysis_id == broken else '{"timed_results": []}'
        store.leases.complete(claimed.lease, body)
    heard = [asyncio.ensure_future(texts_of(service.feeds.listen(asked, 0))) for asked in (broken, healthy)]
    texts = await asyncio.wait_for(asyncio.gather(*heard), 10)
    assert [len(of_one) for of_one in texts] == [0, 1]


async def test_nobody_listens_nothing_is_asked(
    service: Service, store: AnalysisStore, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ask(client)["id"]
    feeds = EventFeeds(service.analysis_store)
    listener = asyncio.ensure_future(texts_of(feeds.listen(asked, 0)))
    await asyncio.sleep(0.3)
    listener.cancel()
    await asyncio.sleep(0.5)
    num_polls = counted(monkeypatch, service.analysis_store, "last_events")
    await asyncio.sleep(0.5)
    assert num_polls() == 0
