"""Analyses as clients use them: create, get, list, cancel, delete, and read events."""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from pydantic import TypeAdapter
from sqlalchemy.exc import IntegrityError

from pipeline.errors import AnalysisNotFound, EngineBusy, IdempotencyConflict
from pipeline.store.database import Clock, Database
from pipeline.store.event_log import end_analysis, select_events
from pipeline.store.json_columns import ABOUTS, FAILURES, JOBS, UNREADABLE
from pipeline.store.records import (
    UNFINISHED,
    AnalysisAbout,
    AnalysisFailure,
    AnalysisPage,
    AnalysisRecord,
    AnalysisStatus,
    EventKind,
    IdempotencyKey,
    NewAnalysis,
    NewEvent,
    StoredEvent,
)
from pipeline.store.tables import ANALYSES, EVENTS
from pipeline.unicode import encodable

logger = logging.getLogger(__name__)

UNREADABLE_RECORD = AnalysisFailure(
    "unreadable_record",
    "The stored record of this analysis is damaged, or another release of the server wrote it. Delete the analysis and "
    "send the request again; the server's log has the reason.",
)
_RECORD: TypeAdapter[AnalysisRecord] = TypeAdapter(AnalysisRecord)


class Analyses:
    """Every method raises StoreFailed; those that take an id raise AnalysisNotFound."""

    def __init__(self, database: Database, clock: Clock, *, keep_seconds: float, max_queued: int) -> None:
        self._database = database
        self._clock = clock
        self._keep_seconds = keep_seconds
        self._max_queued = max_queued

    def create(self, new: NewAnalysis, idempotency: IdempotencyKey | None = None) -> tuple[AnalysisRecord, bool]:
        """Return the analysis and whether it is new: the same key with the same request returns the existing one.

        Raises IdempotencyConflict if the key belongs to another request, and EngineBusy if the queue is full.
        """
        try:
            return self._create(new, idempotency)
        except IntegrityError:  # a simultaneous request took the key; it is visible by now
            return self._create(new, idempotency)

    def get(self, analysis_id: str) -> AnalysisRecord:
        with self._database.reading() as connection:
            row = connection.execute(sa.select(ANALYSES).where(ANALYSES.c.id == analysis_id)).one_or_none()
        if row is None:
            raise not_found(analysis_id)
        return record_of(row)

    def page(self, *, limit: int, after: str | None = None, status: AnalysisStatus | None = None) -> AnalysisPage:
        """Return analyses, newest first, that follow the one with the id `after`."""
        query = sa.select(ANALYSES).order_by(ANALYSES.c.created_at.desc(), ANALYSES.c.id.desc()).limit(limit + 1)
        if status is not None:
            query = query.where(ANALYSES.c.status == status)
        with self._database.reading() as connection:
            if after is not None:
                created_at = connection.scalar(sa.select(ANALYSES.c.created_at).where(ANALYSES.c.id == after))
                if created_at is None:
                    raise not_found(after, param="after")
                query = query.where(sa.tuple_(ANALYSES.c.created_at, ANALYSES.c.id) < sa.tuple_(created_at, after))
            rows = connection.execute(query).all()
        return AnalysisPage(tuple(record_of(row) for row in rows[:limit]), has_more=len(rows) > limit)

    def events(
        self, analysis_id: str, *, after: int = 0, limit: int | None = None, kinds: Collection[EventKind] | None = None
    ) -> Sequence[StoredEvent]:
        """Return the events numbered above `after`, in order; none if the analysis does not exist."""
        conditions = [EVENTS.c.analysis_id == analysis_id, EVENTS.c.number > after]
        if kinds is not None:
            conditions.append(EVENTS.c.kind.in_(kinds))
        with self._database.reading() as connection:
            return select_events(connection, *conditions, limit=limit)

    def last_events(self, analysis_ids: Collection[str]) -> Mapping[str, int]:
        """Return the number of each analysis's last event; analyses that do not exist are left out."""
        query = sa.select(ANALYSES.c.id, ANALYSES.c.last_event).where(ANALYSES.c.id.in_(analysis_ids))
        with self._database.reading() as connection:
            return {row.id: row.last_event for row in connection.execute(query)}

    def cancel(self, analysis_id: str) -> bool:
        """End an analysis; its runner, if any, finds its lease lost. Return False if it had already ended."""
        now = self._clock()
        with self._database.writing() as connection:
            return end_analysis(
                connection,
                sa.and_(ANALYSES.c.id == analysis_id, ANALYSES.c.status.in_(UNFINISHED)),
                AnalysisStatus.CANCELLED,
                NewEvent(EventKind.CANCELLED),
                now=now,
                keep_seconds=self._keep_seconds,
            )

    def delete(self, analysis_id: str) -> str | None:
        """Delete an analysis that has ended, with everything stored of it. Return the id of its own upload, if any."""
        is_it = sa.and_(ANALYSES.c.id == analysis_id, ANALYSES.c.status.not_in(UNFINISHED))
        with self._database.writing() as connection:
            row = connection.execute(sa.delete(ANALYSES).where(is_it).returning(ANALYSES.c.owned_file_id)).one_or_none()
        if row is None:
            raise not_found(analysis_id)
        owned_file_id: str | None = row.owned_file_id
        return owned_file_id

    def _create(self, new: NewAnalysis, idempotency: IdempotencyKey | None) -> tuple[AnalysisRecord, bool]:
        now = self._clock()
        with self._database.writing() as connection:
            if idempotency and (known := self._known(connection, idempotency, now)):
                return known, False
            self._check_room(connection)
            row = connection.execute(
                sa.insert(ANALYSES).values(_columns(new, idempotency, now)).returning(ANALYSES)
            ).one()
            return record_of(row), True

    def _known(self, connection: sa.Connection, idempotency: IdempotencyKey, now: float) -> AnalysisRecord | None:
        has_key = ANALYSES.c.idempotency_key == idempotency.key
        connection.execute(
            sa.update(ANALYSES).where(has_key, ANALYSES.c.idempotency_until < now).values(idempotency_key=None)
        )
        row = connection.execute(sa.select(ANALYSES).where(has_key)).one_or_none()
        if row is None:
            return None
        if row.request_digest != idempotency.request_digest:
            raise IdempotencyConflict(
                f"This Idempotency-Key belongs to {row.id}, another request. Repeat that one or use a new key.",
                param="Idempotency-Key",
            )
        return record_of(row)

    def _check_room(self, connection: sa.Connection) -> None:
        queued = sa.select(ANALYSES.c.id).where(ANALYSES.c.status == AnalysisStatus.QUEUED).limit(self._max_queued)
        num_queued = connection.scalar(sa.select(sa.func.count()).select_from(queued.subquery())) or 0
        if num_queued >= self._max_queued:
            raise EngineBusy(f"{num_queued} analyses are queued, which is the limit. Try again later.")


def _columns(new: NewAnalysis, idempotency: IdempotencyKey | None, now: float) -> dict[str, Any]:
    return {
        "id": f"analysis-{secrets.token_hex(16)}",
        "status": AnalysisStatus.QUEUED,
        "model": new.model,
        "about": ABOUTS.dump(new.about),
        "job": JOBS.dump(new.job),
        "created_at": now,
        "updated_at": now,
        "chunks_done": 0,
        "merging": False,
        "last_event": 0,
        "owned_file_id": new.owned_file_id,
        "attempts": 0,
        "not_before": now,
        "idempotency_key": idempotency.key if idempotency else None,
        "idempotency_until": now + idempotency.keep_seconds if idempotency else None,
        "request_digest": idempotency.request_digest if idempotency else None,
        "webhook_url": new.webhook_url,
        "webhook_attempts": 0,
    }


def not_found(analysis_id: str, param: str | None = None) -> AnalysisNotFound:
    return AnalysisNotFound(
        f"There is no analysis {analysis_id[:64]!r}. It was deleted, has expired, or never existed.", param=param
    )


def record_of(row: sa.Row[Any]) -> AnalysisRecord:
    """Return a row's record. Of an unreadable row it has the id, UNREADABLE_RECORD, and what else can be read."""
    try:
        return _checked(_read(row))
    except UNREADABLE:
        logger.exception("the record of %s cannot be read", row.id)
    return AnalysisRecord(
        analysis_id=row.id,
        status=AnalysisStatus(row.status) if row.status in set(AnalysisStatus) else AnalysisStatus.FAILED,
        created_at=_seconds(row.created_at) or 0.0,
        updated_at=_seconds(row.updated_at) or 0.0,
        started_at=_seconds(row.started_at),
        completed_at=_seconds(row.completed_at),
        expires_at=_seconds(row.expires_at),
        model=encodable(str(row.model)),
        about=AnalysisAbout("", "", None),
        chunks_done=0,
        num_chunks=None,
        merging=False,
        failure=UNREADABLE_RECORD,
    )


def _seconds(stored: object) -> float | None:
    return stored if isinstance(stored, float) and math.isfinite(stored) else None


def _checked(record: AnalysisRecord) -> AnalysisRecord:
    """Return the record. Raises ValueError for values that SQLite stores in spite of a column's type."""
    times = (record.created_at, record.updated_at, record.started_at, record.completed_at, record.expires_at)
    checked = _RECORD.validate_python(record.__dict__)
    if not all(time is None or math.isfinite(time) for time in times):
        raise ValueError("a time is infinite")
    return checked


def _read(row: sa.Row[Any]) -> AnalysisRecord:
    return AnalysisRecord(
        analysis_id=row.id,
        status=AnalysisStatus(row.status),
        created_at=row.created_at,
        updated_at=row.updated_at,
        started_at=row.started_at,
        completed_at=row.completed_at,
        expires_at=row.expires_at,
        model=row.model,
        about=ABOUTS.load(row.about),
        chunks_done=row.chunks_done,
        num_chunks=row.num_chunks,
        merging=row.merging,
        failure=FAILURES.load_optional(row.failure),
    )
