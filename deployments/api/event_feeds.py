"""Events of stored analyses for any number of listeners, read from the store once for all of them."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress

from deployments.logs import logger
from deployments.wire.event_stream import event
from deployments.wire.stored_events import EVENT_NAMES, event_data
from pipeline.errors import StoreFailed
from pipeline.store import AsyncAnalysisStore, StoredEvent

POLL_SECONDS = 0.2
BATCH = 500


class _Feed:
    """One analysis's events from the first on, rendered for the wire."""

    def __init__(self) -> None:
        self.events: list[tuple[int, bytes]] = []
        self.is_over = False
        self.num_listeners = 0
        self.changed = asyncio.Event()

    def add(self, new: Sequence[StoredEvent]) -> None:
        self.events += [
            (stored.number, event(event_data(stored), EVENT_NAMES[stored.kind], number=stored.number)) for stored in new
        ]
        self.is_over = self.is_over or any(stored.kind.is_last for stored in new)
        self._wake_listeners()

    def end(self) -> None:
        self.is_over = True
        self._wake_listeners()

    def _wake_listeners(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    @property
    def last_number(self) -> int:
        return self.events[-1][0] if self.events else 0


class EventFeeds:
    """The feeds of one Ingress replica. One task polls the store for all analyses that have listeners."""

    def __init__(self, store: AsyncAnalysisStore) -> None:
        self._analyses = store.analyses
        self._feeds: dict[str, _Feed] = {}
        self._poller: asyncio.Task[None] | None = None

    async def listen(self, analysis_id: str, after: int) -> AsyncIterator[bytes]:
        """Yield the events numbered above `after`, up to the last one or until the analysis is deleted."""
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
            with suppress(StoreFailed):  # listeners wait until the store responds again
                await self._read_new_events()
            await asyncio.sleep(POLL_SECONDS)

    async def _read_new_events(self) -> None:
        feeds = {analysis_id: feed for analysis_id, feed in self._feeds.items() if not feed.is_over}
        if not feeds:
            return
        last_numbers = await self._analyses.last_events(list(feeds))
        for analysis_id, feed in feeds.items():
            if analysis_id not in last_numbers:
                feed.end()
                continue
            try:
                await self._read_up_to(last_numbers[analysis_id], analysis_id, feed)
            except StoreFailed:
                raise
            except Exception:  # one unreadable event must not silence the other analyses
                logger.exception("events of %s cannot be read", analysis_id)
                feed.end()

    async def _read_up_to(self, last_number: int, analysis_id: str, feed: _Feed) -> None:
        while feed.last_number < last_number:
            new = await self._analyses.events(analysis_id, after=feed.last_number, limit=BATCH)
            if not new:
                return
            feed.add(new)
