"""Queries of clients that poll: events they have not received yet, and counts for health checks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa

from pipeline.store.analyses import not_found
from pipeline.store.database import Database
from pipeline.store.event_log import select_events
from pipeline.store.records import UNFINISHED, AnalysisStatus, EventKind, StoredEvent
from pipeline.store.tables import ANALYSES, EVENTS, POLLED_EVENTS


class Polling:
    """Every method raises StoreFailed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, analysis_id: str, kinds: Collection[EventKind]) -> Sequence[StoredEvent]:
        """Return the events of these kinds that no call has returned before. Raises AnalysisNotFound."""
        with self._database.writing() as connection:
            # Locked, so that simultaneous calls return each event once.
            is_it = ANALYSES.c.id == analysis_id
            if connection.scalar(sa.select(ANALYSES.c.id).where(is_it).with_for_update()) is None:
                raise not_found(analysis_id)
            is_polled = POLLED_EVENTS.c.analysis_id == analysis_id
            taken = connection.scalar(sa.select(POLLED_EVENTS.c.last_event).where(is_polled))
            events = select_events(
                connection,
                EVENTS.c.analysis_id == analysis_id,
                EVENTS.c.number > (taken or 0),
                EVENTS.c.kind.in_(kinds),
            )
            if events and taken is None:
                values = {"analysis_id": analysis_id, "last_event": events[-1].number}
                connection.execute(sa.insert(POLLED_EVENTS).values(values))
            elif events:
                connection.execute(sa.update(POLLED_EVENTS).where(is_polled).values(last_event=events[-1].number))
            return events

    def counts(self) -> Mapping[AnalysisStatus, int]:
        """Return the number of stored analyses by status; a status without any is left out."""
        query = (
            sa.select(ANALYSES.c.status, sa.func.count().label("number"))
            .where(ANALYSES.c.status.in_(tuple(AnalysisStatus)))  # a later release may have others
            .group_by(ANALYSES.c.status)
        )
        with self._database.reading() as connection:
            return {AnalysisStatus(row.status): row.number for row in connection.execute(query)}

    def num_retried(self) -> int:
        """Return the number of unfinished analyses that were started more than once."""
        query = sa.select(sa.func.count()).where(ANALYSES.c.attempts > 1, ANALYSES.c.status.in_(UNFINISHED))
        with self._database.reading() as connection:
            return connection.scalar(query) or 0
