"""Events are numbered without gaps, and an analysis ends once: the statements that both sides of the store make."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import sqlalchemy as sa

from pipeline.store.records import AnalysisStatus, NewEvent
from pipeline.store.tables import ANALYSES, EVENTS


class EventNames(StrEnum):
    """As in the stream of a request that waits, and `cancelled`."""

    PLAN = "plan"
    CHUNK = "chunk"
    PROGRESS = "progress"
    DELTA = "delta"
    ANSWER = "answer"
    ERROR = "error"
    CANCELLED = "cancelled"


LAST_EVENTS = (EventNames.ANSWER, EventNames.ERROR, EventNames.CANCELLED)
"""After one of these nothing more happens."""


def end(
    connection: sa.Connection,
    which: sa.ColumnElement[bool],
    status: AnalysisStatus,
    last: NewEvent,
    *,
    now: float,
    keep_seconds: float,
) -> bool:
    """Ends the one analysis for which `which` holds; False where it holds for none. Its secrets go."""
    row = connection.execute(
        sa.update(ANALYSES)
        .where(which)
        .values(
            status=status,
            updated_at=now,
            completed_at=now,
            expires_at=now + keep_seconds,
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
    append(connection, row.id, row.last_event, [last])
    return True


def append(connection: sa.Connection, analysis_id: str, last_number: int, events: Sequence[NewEvent]) -> None:
    """Events up to that number, for which `last_event` of the same transaction made room."""
    first_number = last_number - len(events) + 1
    connection.execute(
        sa.insert(EVENTS),
        [
            {"analysis_id": analysis_id, "number": number, "name": str(event.name), "body": event.body}
            for number, event in enumerate(events, first_number)
        ],
    )
