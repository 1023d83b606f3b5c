"""Leases: each analysis is run by one runner at a time, and only the lease's holder may write to it."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any

import sqlalchemy as sa

from pipeline.analysis import Lease, Progress
from pipeline.errors import LeaseLost
from pipeline.store.analyses import UNREADABLE_RECORD, record_of
from pipeline.store.database import Clock, Database
from pipeline.store.event_log import append_events, end_analysis
from pipeline.store.json_columns import JOBS, TEXTS, UNREADABLE
from pipeline.store.records import AnalysisFailure, AnalysisStatus, ClaimedAnalysis, EventKind, NewEvent
from pipeline.store.tables import ANALYSES, EVENTS

logger = logging.getLogger(__name__)


class Leases:
    """Every method raises StoreFailed."""

    def __init__(self, database: Database, clock: Clock, *, lease_seconds: float, keep_seconds: float) -> None:
        self._database = database
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._keep_seconds = keep_seconds

    def claim(self, models: Collection[str]) -> ClaimedAnalysis | None:
        """Lease the oldest analysis of these models that is queued, or whose lease has expired.

        One whose row cannot be read fails, so that it does not hold up the others.
        """
        while lease := self._lease_oldest(models):
            try:
                with self._database.reading() as connection:
                    row = connection.execute(sa.select(ANALYSES).where(is_held(lease))).one_or_none()
                    if row is not None:
                        return _claimed(connection, row, lease)
            except UNREADABLE:
                logger.exception("the job of %s cannot be read; the analysis fails", lease.analysis_id)
                with suppress(LeaseLost):
                    self.fail(lease, UNREADABLE_RECORD)
        return None

    def _lease_oldest(self, models: Collection[str]) -> Lease | None:
        now = self._clock()
        is_free = sa.and_(
            ANALYSES.c.model.in_(models),
            sa.or_(
                sa.and_(ANALYSES.c.status == AnalysisStatus.QUEUED, ANALYSES.c.not_before <= now),
                sa.and_(ANALYSES.c.status == AnalysisStatus.RUNNING, ANALYSES.c.lease_until < now),
            ),
        )
        oldest = sa.select(ANALYSES.c.id).where(is_free).order_by(ANALYSES.c.created_at).limit(1)
        with self._database.reading() as connection:  # takes no lock while nothing is free
            if connection.scalar(oldest) is None:
                return None
        token = secrets.token_hex(16)
        with self._database.writing() as connection:
            row = connection.execute(
                sa.update(ANALYSES)
                # The condition is repeated: on PostgreSQL another runner may have claimed the row after the inner
                # select, which skips only rows that are locked at that moment.
                .where(ANALYSES.c.id == oldest.with_for_update(skip_locked=True).scalar_subquery(), is_free)
                .values(
                    status=AnalysisStatus.RUNNING,
                    lease=token,
                    lease_until=now + self._lease_seconds,
                    started_at=sa.func.coalesce(ANALYSES.c.started_at, now),
                    updated_at=now,
                    attempts=ANALYSES.c.attempts + 1,
                )
                .returning(ANALYSES.c.id)
            ).one_or_none()
        return Lease(row.id, token) if row else None

    def renew(self, leases: Collection[Lease]) -> frozenset[Lease]:
        """Extend these leases by a full period from now; return those that are still held."""
        until = self._clock() + self._lease_seconds
        with self._database.writing() as connection:
            held = connection.execute(
                sa.update(ANALYSES).where(_is_one_of(leases)).values(lease_until=until).returning(ANALYSES.c.lease)
            )
            return _with_tokens(leases, held.scalars())

    def held(self, leases: Collection[Lease]) -> frozenset[Lease]:
        """Return the leases still held, whose analyses were neither cancelled nor claimed by another runner."""
        with self._database.reading() as connection:
            return _with_tokens(leases, connection.scalars(sa.select(ANALYSES.c.lease).where(_is_one_of(leases))))

    def append(self, lease: Lease, events: Sequence[NewEvent], progress: Progress | None = None) -> None:
        """Append events and set the progress. Raises LeaseLost."""
        values: dict[str, Any] = {"last_event": ANALYSES.c.last_event + len(events), "updated_at": self._clock()}
        if progress is not None:
            values |= {
                "chunks_done": progress.chunks_done,
                "num_chunks": progress.num_chunks,
                "merging": progress.merging,
            }
        if any(event.kind == EventKind.CHUNK for event in events):
            values["attempts"] = 0
        with self._database.writing() as connection:
            last_number = connection.scalar(
                sa.update(ANALYSES).where(is_held(lease)).values(values).returning(ANALYSES.c.last_event)
            )
            if last_number is None:
                raise lease_lost(lease)
            append_events(connection, lease.analysis_id, last_number, events)

    def complete(self, lease: Lease, body: str) -> None:
        """End the analysis with its result. Raises LeaseLost."""
        self._end(lease, AnalysisStatus.COMPLETED, NewEvent(EventKind.RESULT, body))

    def fail(self, lease: Lease, failure: AnalysisFailure) -> None:
        """End the analysis without a result. Raises LeaseLost."""
        self._end(lease, AnalysisStatus.FAILED, NewEvent(EventKind.FAILED), failure)

    def release(self, lease: Lease, *, pause_seconds: float, counts: bool) -> None:
        """Queue the analysis again, for any runner after a pause. `counts`: whether this run counts as an attempt."""
        now = self._clock()
        values: dict[str, Any] = {
            "status": AnalysisStatus.QUEUED,
            "lease": None,
            "lease_until": None,
            "merging": False,
            "not_before": now + pause_seconds,
            "updated_at": now,
        }
        if not counts:
            values["attempts"] = sa.case((ANALYSES.c.attempts > 0, ANALYSES.c.attempts - 1), else_=0)
        with self._database.writing() as connection:
            connection.execute(sa.update(ANALYSES).where(is_held(lease)).values(values))

    def _end(
        self, lease: Lease, status: AnalysisStatus, last_event: NewEvent, failure: AnalysisFailure | None = None
    ) -> None:
        now, keep_seconds = self._clock(), self._keep_seconds
        with self._database.writing() as connection:
            if not end_analysis(
                connection, is_held(lease), status, last_event, now=now, keep_seconds=keep_seconds, failure=failure
            ):
                raise lease_lost(lease)


def lease_lost(lease: Lease) -> LeaseLost:
    return LeaseLost(f"{lease.analysis_id} was cancelled or claimed by another runner.")


def is_held(lease: Lease) -> sa.ColumnElement[bool]:
    """The condition that a row is the analysis leased by `lease`."""
    return _is_one_of([lease])


def _is_one_of(leases: Collection[Lease]) -> sa.ColumnElement[bool]:
    """A token identifies a lease on its own; the ids let the database use its index."""
    ids, tokens = [lease.analysis_id for lease in leases], [lease.token for lease in leases]
    return sa.and_(ANALYSES.c.id.in_(ids), ANALYSES.c.lease.in_(tokens), ANALYSES.c.status == AnalysisStatus.RUNNING)


def _with_tokens(leases: Collection[Lease], tokens: sa.ScalarResult[str | None]) -> frozenset[Lease]:
    held = set(tokens)
    return frozenset(lease for lease in leases if lease.token in held)


def _claimed(connection: sa.Connection, row: sa.Row[Any], lease: Lease) -> ClaimedAnalysis:
    events = connection.execute(
        sa.select(EVENTS.c.kind, EVENTS.c.chunk_index, EVENTS.c.chunk_failed, EVENTS.c.text)
        .where(EVENTS.c.analysis_id == row.id)
        .order_by(EVENTS.c.number)
    ).all()
    failed_by_chunk = {event.chunk_index: event.chunk_failed for event in events if event.kind == EventKind.CHUNK}
    return ClaimedAnalysis(
        record=record_of(row),
        job=JOBS.load(row.job),
        lease=lease,
        attempts=row.attempts,
        has_plan=any(event.kind == EventKind.PLAN for event in events),
        stored_chunks=frozenset(failed_by_chunk),
        failed_chunks=frozenset(index for index, failed in failed_by_chunk.items() if failed),
        stored_text="".join(TEXTS.load(event.text) for event in events if event.kind == EventKind.TEXT),
    )
