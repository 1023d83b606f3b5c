"""Webhooks to send: due until one is delivered or has run out of attempts."""

from __future__ import annotations

import sqlalchemy as sa

from pipeline.store.database import Clock, Database
from pipeline.store.records import FINISHED, AnalysisStatus, DueWebhook
from pipeline.store.tables import ANALYSES


class DueWebhooks:
    """Every method raises StoreFailed."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def claim(self, *, lease_seconds: float) -> DueWebhook | None:
        """Claim a due webhook for `lease_seconds`, after which it is due again in case the sender died."""
        now = self._clock()
        is_due = sa.and_(ANALYSES.c.webhook_due_at <= now, ANALYSES.c.status.in_(FINISHED))
        first = sa.select(ANALYSES.c.id).where(is_due).order_by(ANALYSES.c.webhook_due_at).limit(1)
        with self._database.reading() as connection:
            if connection.scalar(first) is None:
                return None
        with self._database.writing() as connection:
            row = connection.execute(
                sa.update(ANALYSES)
                .where(ANALYSES.c.id == first.with_for_update(skip_locked=True).scalar_subquery(), is_due)
                .values(webhook_due_at=now + lease_seconds, webhook_attempts=ANALYSES.c.webhook_attempts + 1)
                .returning(ANALYSES.c.id, ANALYSES.c.webhook_url, ANALYSES.c.status, ANALYSES.c.webhook_attempts)
            ).one_or_none()
        if row is None:
            return None
        return DueWebhook(row.id, row.webhook_url, AnalysisStatus(row.status), row.webhook_attempts)

    def postpone(self, analysis_id: str, *, pause_seconds: float) -> None:
        """Schedule the next attempt."""
        due_at = self._clock() + pause_seconds
        with self._database.writing() as connection:
            connection.execute(sa.update(ANALYSES).where(ANALYSES.c.id == analysis_id).values(webhook_due_at=due_at))

    def settle(self, analysis_id: str) -> None:
        """Stop sending it, and delete its URL, which may hold a secret."""
        with self._database.writing() as connection:
            connection.execute(
                sa.update(ANALYSES).where(ANALYSES.c.id == analysis_id).values(webhook_due_at=None, webhook_url=None)
            )
