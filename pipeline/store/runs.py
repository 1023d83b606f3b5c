"""Who runs what. An analysis is run by whoever has its lease, and what others say of it is not taken."""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from pipeline.analysis import StoredRun
from pipeline.errors import LeaseLost
from pipeline.store.analyses import record_of
from pipeline.store.clock import Clock
from pipeline.store.database import Database
from pipeline.store.documents import JOBS
from pipeline.store.events import EventNames, append, end
from pipeline.store.records import (
    FINISHED,
    AnalysisStatus,
    ClaimedRun,
    NewEvent,
    Progress,
)
from pipeline.store.tables import ANALYSES, EVENTS


class Runs:
    """Every method raises StoreFailed."""

    def __init__(self, database: Database, clock: Clock, *, lease_seconds: float, keep_seconds: float) -> None:
        self._database = database
        self._clock = clock
        self._lease_seconds = lease_seconds
        self._keep_seconds = keep_seconds

    def claim(self, models: Collection[str]) -> ClaimedRun | None:
        """The oldest analysis of these models that nobody runs, or whose runner was not heard of for its lease."""
        now = self._clock()
        is_free = sa.and_(
            ANALYSES.c.model.in_(models),
            sa.or_(
                sa.and_(ANALYSES.c.status == AnalysisStatus.QUEUED, ANALYSES.c.not_before <= now),
                sa.and_(ANALYSES.c.status == AnalysisStatus.RUNNING, ANALYSES.c.lease_until < now),
            ),
        )
        oldest = sa.select(ANALYSES.c.id).where(is_free).order_by(ANALYSES.c.created_at).limit(1)
        with self._database.reading() as connection:  # takes no lock while nothing waits
            if connection.scalar(oldest) is None:
                return None
        lease = secrets.token_hex(16)
        with self._database.writing() as connection:
            row = connection.execute(
                sa.update(ANALYSES)
                # Held against the condition again: on PostgreSQL another may have claimed it since the inner select,
                # which leaves out what others are claiming.
                .where(ANALYSES.c.id == oldest.with_for_update(skip_locked=True).scalar_subquery(), is_free)
                .values(
                    status=AnalysisStatus.RUNNING,
                    lease=lease,
                    lease_until=now + self._lease_seconds,
                    started_at=sa.func.coalesce(ANALYSES.c.started_at, now),
                    updated_at=now,
                    attempts=ANALYSES.c.attempts + 1,
                )
                .returning(ANALYSES)
            ).one_or_none()
            return _claimed(connection, row, lease) if row else None

    def renew(self, runs: Collection[StoredRun]) -> frozenset[StoredRun]:
        """Has these leases last from now on, and gives those that are held still."""
        until = self._clock() + self._lease_seconds
        with self._database.writing() as connection:
            held = connection.execute(
                sa.update(ANALYSES).where(_is_one_of(runs)).values(lease_until=until).returning(ANALYSES.c.lease)
            )
            return _runs_of(held.scalars(), runs)

    def held(self, runs: Collection[StoredRun]) -> frozenset[StoredRun]:
        """Those whose lease is held still: not cancelled, and not taken over."""
        with self._database.reading() as connection:
            return _runs_of(connection.scalars(sa.select(ANALYSES.c.lease).where(_is_one_of(runs))), runs)

    def append(self, run: StoredRun, events: Sequence[NewEvent], progress: Progress | None = None) -> None:
        """Adds events, and how far it is. Raises LeaseLost."""
        values: dict[str, Any] = {"last_event": ANALYSES.c.last_event + len(events), "updated_at": self._clock()}
        if progress is not None:
            values |= {
                "chunks_done": progress.chunks_done,
                "num_chunks": progress.num_chunks,
                "merging": progress.merging,
            }
        if any(event.name == EventNames.CHUNK for event in events):
            values["attempts"] = 0
        with self._database.writing() as connection:
            last_number = connection.scalar(
                sa.update(ANALYSES).where(_is_one_of([run])).values(values).returning(ANALYSES.c.last_event)
            )
            if last_number is None:
                raise lease_lost(run)
            append(connection, run.analysis_id, last_number, events)

    def finish(self, run: StoredRun, status: AnalysisStatus, last: NewEvent) -> None:
        """Raises LeaseLost."""
        assert status in FINISHED
        with self._database.writing() as connection:
            if not end(connection, _is_one_of([run]), status, last, now=self._clock(), keep_seconds=self._keep_seconds):
                raise lease_lost(run)

    def release(self, run: StoredRun, *, pause_seconds: float, counts: bool) -> None:
        """Puts it back, for anybody after a pause. `counts`: whether this was an attempt."""
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
            connection.execute(sa.update(ANALYSES).where(_is_one_of([run])).values(values))


def lease_lost(run: StoredRun) -> LeaseLost:
    return LeaseLost(f"{run.analysis_id} was cancelled, or is run by another runner now.")


def is_held(run: StoredRun) -> sa.ColumnElement[bool]:
    """Whether an analysis is run by `run`."""
    return _is_one_of([run])


def _is_one_of(runs: Collection[StoredRun]) -> sa.ColumnElement[bool]:
    """A lease is for one run of one analysis; the ids are there for the index."""
    ids, leases = [run.analysis_id for run in runs], [run.lease for run in runs]
    return sa.and_(ANALYSES.c.id.in_(ids), ANALYSES.c.lease.in_(leases), ANALYSES.c.status == AnalysisStatus.RUNNING)


def _runs_of(leases: sa.ScalarResult[str | None], runs: Collection[StoredRun]) -> frozenset[StoredRun]:
    held = set(leases)
    return frozenset(run for run in runs if run.lease in held)


def _claimed(connection: sa.Connection, row: sa.Row[Any], lease: str) -> ClaimedRun:
    told = connection.execute(
        sa.select(EVENTS.c.name, EVENTS.c.body).where(EVENTS.c.analysis_id == row.id).order_by(EVENTS.c.number)
    ).all()
    chunks = {
        body["chunk_index"]: body for body in (json.loads(body) for name, body in told if name == EventNames.CHUNK)
    }
    return ClaimedRun(
        record=record_of(row),
        job=JOBS.load(row.job),
        run=StoredRun(row.id, lease),
        attempts=row.attempts,
        told_plan=any(name == EventNames.PLAN for name, _ in told),
        told_chunks=frozenset(chunks),
        failed_chunks=frozenset(index for index, body in chunks.items() if not body["success"]),
        told_text="".join(json.loads(body)["text"] for name, body in told if name == EventNames.DELTA),
    )
