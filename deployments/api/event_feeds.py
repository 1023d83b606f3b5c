"""Events of stored analyses to any number of listeners: what all of them ask for is read from the store once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from deployments.wire.event_stream import event
from pipeline.errors import StoreFailed
from pipeline.store import LAST_EVENTS, AnalysisStore, StoredEvent

POLL_SECONDS = 0.2
BATCH = 500


class _Feed:
    """What is known of one analysis, from its first event on, as it goes over the wire."""

    def __init__(self) -> None:
        self.events: list[tuple[int, bytes]] = []
        self.is_over = False
        self.num_listeners = 0
        self.changed = asyncio.Event()

    def add(self, stored: list[StoredEvent]) -> None:
        self.events += [(found.number, event(found.body, found.name, number=found.number)) for found in stored]
        self.is_over = self.is_over or any(found.name in LAST_EVENTS for found in stored)
        self.tell()

    def tell(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    @property
    def last_number(self) -> int:
        return self.events[-1][0] if self.events else 0


class EventFeeds:
    """One per Ingress replica, with one poller for all analyses that anybody listens to."""

    def __init__(self, store: AnalysisStore) -> None:
        self._store = store
        self._feeds: dict[str, _Feed] = {}
        self._poller: asyncio.Task[None] | None = None

    async def listen(self, analysis_id: str, after: int) -> AsyncIterator[bytes]:
        """The events after that number, as they come, up to the last one, or until the analysis is gone."""
        feed = self._feeds.setdefault(analysis_id, _Feed())
        feed.num_listeners += 1
        if self._poller is None or self._poller.done():
            self._poller = asyncio.create_task(self._poll())
        try:
            place = 0
            while True:
                changed = feed.changed
                while place < len(feed.events):
                    number, text = feed.events[place]
                    place += 1
                    if number > after:
                        yield text
                if feed.is_over:
                    return
                await changed.wait()
        finally:
            feed.num_listeners -= 1
            if not feed.num_listeners:
                self._feeds.pop(analysis_id, None)

    async def _poll(self) -> None:
        while self._feeds:
            with suppress(StoreFailed):  # listeners wait for it to come back; requests are told
                await self._read_news()
            await asyncio.sleep(POLL_SECONDS)

    async def _read_news(self) -> None:
        feeds = {analysis_id: feed for analysis_id, feed in self._feeds.items() if not feed.is_over}
        if not feeds:
            return
        last_numbers = await asyncio.to_thread(self._store.analyses.last_events, list(feeds))
        for analysis_id, feed in feeds.items():
            if analysis_id not in last_numbers:
                feed.is_over = True
                feed.tell()
                continue
            while feed.last_number < last_numbers[analysis_id]:
                found = await asyncio.to_thread(
                    self._store.analyses.events, analysis_id, after=feed.last_number, limit=BATCH
                )
                if not found:
                    break
                feed.add(list(found))
