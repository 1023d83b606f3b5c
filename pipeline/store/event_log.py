"""An analysis's events, numbered without gaps, the last of which ends it: statements shared by the store's parts."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from pipeline.store.json_columns import FAILURES, TEXTS
from pipeline.store.records import AnalysisFailure, AnalysisStatus, EventKind, NewEvent, StoredEvent
from pipeline.store.tables import ANALYSES, EVENTS


def end_analysis(
    connection: sa.Connection,
    condition: sa.ColumnElement[bool],
    status: AnalysisStatus,
    last_event: NewEvent,
    *,
    now: float,
    keep_seconds: float,
    failure: AnalysisFailure | None = None,
) -> bool:
    """End the one analysis that meets `condition` and delete its secrets. Return False if there is none."""
    row = connection.execute(
        sa.update(ANALYSES)
        .where(condition)
        .values(
            status=status,
            updated_at=now,
            completed_at=now,
            expires_at=now + keep_seconds,
            failure=None if failure is None else FAILURES.dump(failure),
            job=None,
            lease=None,
            lease_until=None,
            merging=False,
            last_event=ANALYSES.c.last_event + 1,
            webhook_due_at=sa.case((ANALYSES.c.webhook_url.is_not(None), now)),
        )
        .returning(ANALYSES.c.id, ANALYSES.c.last_event)
    ).one_or_none()
    if row is None:
        return False
    append_events(connection, row.id, row.last_event, [last_event])
    return True


def append_events(connection: sa.Connection, analysis_id: str, last_number: int, events: Sequence[NewEvent]) -> None:
    """Append events that end at `last_number`, to which the same transaction has raised the analysis's `last_event`."""
    first_number = last_number - len(events) + 1
    connection.execute(
        sa.insert(EVENTS),
        [
            {
                "analysis_id": analysis_id,
                "number": number,
                "kind": event.kind,
                "body": event.body,
                "chunk_index": event.chunk_index,
                "chunk_failed": event.chunk_failed,
                "text": None if event.text is None else TEXTS.dump(event.text),
            }
            for number, event in enumerate(events, first_number)
        ],
    )


def select_events(
    connection: sa.Connection, *conditions: sa.ColumnElement[bool], limit: int | None = None
) -> list[StoredEvent]:
    """Return the events that meet all conditions, in order."""
    query = (
        sa.select(EVENTS.c.number, EVENTS.c.kind, EVENTS.c.body, EVENTS.c.text, ANALYSES.c.failure)
        .join(ANALYSES, ANALYSES.c.id == EVENTS.c.analysis_id)
        .where(*conditions)
        .order_by(EVENTS.c.number)
        .limit(limit)
    )
    return [_event_of(*row) for row in connection.execute(query)]


def _event_of(number: int, kind: str, body: str | None, text: str | None, failure: str | None) -> StoredEvent:
    return StoredEvent(
        number,
        EventKind(kind),
        body,
        TEXTS.load_optional(text),
        FAILURES.load_optional(failure) if kind == EventKind.FAILED else None,
    )
