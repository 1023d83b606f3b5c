"""What has to go: results that are old, uploads of analyses that have ended, keys that no longer count."""

from __future__ import annotations

import json
from collections.abc import Sequence

import sqlalchemy as sa

from pipeline.errors import DeadlineExceeded
from pipeline.store.clock import Clock
from pipeline.store.database import Database
from pipeline.store.events import EventNames, end
from pipeline.store.records import FINISHED, AnalysisStatus, NewEvent
from pipeline.store.tables import ANALYSES

BATCH = 100
"""Rows of one transaction: others wait no longer for it."""


class Upkeep:
    """Any number of processes may do it at once. Every method raises StoreFailed."""

    def __init__(self, database: Database, clock: Clock, *, keep_seconds: float) -> None:
        self._database = database
        self._clock = clock
        self._keep_seconds = keep_seconds

    def uploads_of_ended(self) -> Sequence[tuple[str, str]]:
        """(analysis, upload) of some that have ended and own one; `upload_is_gone` says that it was deleted."""
        query = (
            sa.select(ANALYSES.c.id, ANALYSES.c.owned_file_id)
            .where(ANALYSES.c.owned_file_id.is_not(None), ANALYSES.c.status.in_(FINISHED))
            .limit(BATCH)
        )
        with self._database.reading() as connection:
            return [(analysis_id, file_id) for analysis_id, file_id in connection.execute(query)]

    def upload_is_gone(self, analysis_id: str) -> None:
        with self._database.writing() as connection:
            connection.execute(sa.update(ANALYSES).where(ANALYSES.c.id == analysis_id).values(owned_file_id=None))

    def delete_expired(self) -> int:
        """Deletes some of those that have expired, and says how many; one that owns an upload waits for that to go."""
        expired = (
            sa.select(ANALYSES.c.id)
            .where(ANALYSES.c.expires_at < self._clock(), ANALYSES.c.owned_file_id.is_(None))
            .limit(BATCH)
        )
        with self._database.reading() as connection:
            ids = connection.scalars(expired).all()
        if not ids:
            return 0
        with self._database.writing() as connection:
            return connection.execute(sa.delete(ANALYSES).where(ANALYSES.c.id.in_(ids))).rowcount

    def fail_forgotten(self) -> int:
        """Ends some of those that nobody came to run, such as those of a model that is no longer served."""
        now = self._clock()
        is_forgotten = sa.and_(
            ANALYSES.c.created_at < now - self._keep_seconds,
            sa.or_(
                ANALYSES.c.status == AnalysisStatus.QUEUED,
                sa.and_(ANALYSES.c.status == AnalysisStatus.RUNNING, ANALYSES.c.lease_until < now),
            ),
        )
        with self._database.reading() as connection:
            ids = connection.scalars(sa.select(ANALYSES.c.id).where(is_forgotten).limit(BATCH)).all()
        for analysis_id in ids:
            with self._database.writing() as connection:
                end(
                    connection,
                    sa.and_(ANALYSES.c.id == analysis_id, is_forgotten),
                    AnalysisStatus.FAILED,
                    _forgotten(self._keep_seconds),
                    now=now,
                    keep_seconds=self._keep_seconds,
                )
        return len(ids)


def _forgotten(keep_seconds: float) -> NewEvent:
    message = (
        f"Nothing came to run the analysis within {keep_seconds:g} s: the server was down, had no room, or serves "
        "another model now. Ask again."
    )
    error = {"type": DeadlineExceeded.type_name(), "message": message, "param": None}
    return NewEvent(EventNames.ERROR, json.dumps({"error": error}))
