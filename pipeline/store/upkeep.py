"""Housekeeping: expired analyses, uploads of ended ones, and analyses that no runner claimed."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from pipeline.errors import DeadlineExceeded
from pipeline.store.database import Clock, Database
from pipeline.store.event_log import end_analysis
from pipeline.store.records import FINISHED, AnalysisFailure, AnalysisStatus, EventKind, NewEvent
from pipeline.store.tables import ANALYSES

BATCH = 100
"""Rows per transaction, so that other writers do not wait long."""


class Upkeep:
    """Any number of processes may call it at once. Every method raises StoreFailed."""

    def __init__(self, database: Database, clock: Clock, *, keep_seconds: float) -> None:
        self._database = database
        self._clock = clock
        self._keep_seconds = keep_seconds

    def uploads_of_ended(self) -> Sequence[tuple[str, str]]:
        """Return (analysis, upload) ids of some ended analyses that own an upload; `upload_is_gone` takes them off."""
        query = (
            sa.select(ANALYSES.c.id, ANALYSES.c.owned_file_id)
            .where(ANALYSES.c.owned_file_id.is_not(None), ANALYSES.c.status.in_(FINISHED))
            .limit(BATCH)
        )
        with self._database.reading() as connection:
            return [(analysis_id, file_id) for analysis_id, file_id in connection.execute(query)]

    def upload_is_gone(self, analysis_id: str) -> None:
        """Record that the analysis's upload was deleted."""
        with self._database.writing() as connection:
            connection.execute(sa.update(ANALYSES).where(ANALYSES.c.id == analysis_id).values(owned_file_id=None))

    def delete_expired(self) -> int:
        """Delete some expired analyses and return how many; one that owns an upload waits for its deletion."""
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
        """Fail some analyses that no runner claimed, such as those of a model no longer served; return how many."""
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
                end_analysis(
                    connection,
                    sa.and_(ANALYSES.c.id == analysis_id, is_forgotten),
                    AnalysisStatus.FAILED,
                    NewEvent(EventKind.FAILED),
                    now=now,
                    keep_seconds=self._keep_seconds,
                    failure=_forgotten(self._keep_seconds),
                )
        return len(ids)


def _forgotten(keep_seconds: float) -> AnalysisFailure:
    return AnalysisFailure(
        DeadlineExceeded.type_name(),
        f"The analysis did not start within {keep_seconds:g} s: the server was down or full, or now serves another "
        "model. Send the request again.",
    )
