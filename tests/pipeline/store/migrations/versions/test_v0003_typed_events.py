"""A database of the release before v0003 keeps its analyses, its events and their numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from pipeline.config import StoreSettings
from pipeline.store import AnalysisFailure, AnalysisStatus, EventKind, StoredEvent, open_store
from pipeline.store.database import Database
from pipeline.store.json_columns import ABOUTS, JOBS
from tests.pipeline.store.conftest import FakeClock
from tests.pipeline.store.samples import MODEL, new

RUNNING, COMPLETED, FAILED, CANCELLED = "analysis-1", "analysis-2", "analysis-3", "analysis-4"
ERROR = {"type": "decode_failed", "message": "No “frame”.", "param": None}
FIRST_CHUNK = '{"chunk_index": 0, "success": true, "response": "A “cat”."}'
LOST_CHUNK = '{"chunk_index": 2, "success": false}'
OLD_EVENTS = {
    RUNNING: [
        ("plan", '{"notice": "Plán."}'),
        ("chunk", FIRST_CHUNK),
        ("progress", '{"stage": "chunks"}'),
        ("chunk", '{"chunk_index": 1, "success": false}'),
        ("chunk", LOST_CHUNK),
        ("chunk", '{"chunk_index": 1, "success": true}'),
        ("delta", '{"text": "A “c"}'),
        ("delta", '{"text": "at\\u0000”"}'),
    ],
    COMPLETED: [("answer", '{"success": true}')],
    FAILED: [("error", json.dumps({"error": ERROR}, ensure_ascii=False))],
    CANCELLED: [("cancelled", "{}")],
}


@pytest.fixture
def old_database(settings: StoreSettings) -> StoreSettings:
    """The settings of a database of v0002, with one analysis of each kind."""
    database = Database(settings)
    config = Config()
    config.set_main_option("script_location", "pipeline.store:migrations")
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
    with database.writing() as connection:
        for analysis_id, status in (
            (RUNNING, "running"),
            (COMPLETED, "completed"),
            (FAILED, "failed"),
            (CANCELLED, "cancelled"),
        ):
            _insert(connection, "analyses", _analysis(analysis_id, status))
            for number, (name, body) in enumerate(OLD_EVENTS[analysis_id], 1):
                event = {"analysis_id": analysis_id, "number": number, "name": name, "body": body}
                _insert(connection, "analysis_events", event)
        _insert(connection, "polled_events", {"analysis_id": RUNNING, "last_event": 2})
        answer = {"key": "key", "analysis_id": RUNNING, "answer": "{}", "created_at": 1.0}
        _insert(connection, "chunk_answers", answer)
    database.close()
    return settings


def _analysis(analysis_id: str, status: str) -> dict[str, Any]:
    return {
        "id": analysis_id,
        "status": status,
        "model": MODEL,
        "about": ABOUTS.dump(new().about),
        "job": JOBS.dump(new().job) if status == "running" else None,
        "created_at": 1.0,
        "updated_at": 1.0,
        "chunks_done": 0,
        "merging": False,
        "last_event": len(OLD_EVENTS[analysis_id]),
        "lease": "gone" if status == "running" else None,
        "lease_until": 1.0 if status == "running" else None,
        "attempts": 1,
        "not_before": 1.0,
        "webhook_attempts": 0,
    }


def _insert(connection: sa.Connection, table: str, values: dict[str, Any]) -> None:
    connection.execute(sa.insert(sa.table(table, *(sa.column(name) for name in values))).values(values))


def test_a_run_resumes_from_the_columns(old_database: StoreSettings, clock: FakeClock) -> None:
    store = open_store(old_database, clock=clock)
    claimed = store.leases.claim([MODEL])
    assert claimed and claimed.record.analysis_id == RUNNING
    assert (claimed.job, claimed.has_plan, claimed.stored_text) == (new().job, True, "A “cat\0”")
    assert (claimed.stored_chunks, claimed.failed_chunks) == ({0, 1, 2}, {2})
    assert [event.body for event in store.polling.take(RUNNING, [EventKind.CHUNK])][1:] == [
        LOST_CHUNK,
        '{"chunk_index": 1, "success": true}',
    ]
    with store.database.reading() as connection:
        assert connection.scalar(sa.text("SELECT count(*) FROM chunk_answers")) == 1
    store.close()


def test_events_keep_their_numbers_and_bodies(old_database: StoreSettings) -> None:
    store = open_store(old_database)
    events = store.analyses.events(RUNNING)
    assert [event.number for event in events] == list(range(1, 9))
    kinds = ["plan", "chunk", "progress", "chunk", "chunk", "chunk", "text", "text"]
    assert [event.kind for event in events] == kinds
    assert [event.body for event in events[:6]] == [body for _, body in OLD_EVENTS[RUNNING][:6]]
    assert [(event.body, event.text) for event in events[6:]] == [(None, "A “c"), (None, "at\0”")]
    assert store.analyses.events(COMPLETED) == [StoredEvent(1, EventKind.RESULT, '{"success": true}')]
    assert store.analyses.events(CANCELLED) == [StoredEvent(1, EventKind.CANCELLED)]
    store.close()


def test_a_failure_moves_to_its_analysis(old_database: StoreSettings) -> None:
    store = open_store(old_database)
    failure = AnalysisFailure("decode_failed", "No “frame”.", None)
    record = store.analyses.get(FAILED)
    assert (record.status, record.failure) == (AnalysisStatus.FAILED, failure)
    assert store.analyses.events(FAILED) == [StoredEvent(1, EventKind.FAILED, failure=failure)]
    assert store.analyses.get(COMPLETED).failure is None
    store.analyses.delete(FAILED)
    with store.database.reading() as connection:  # events still go with their analysis
        of_failed = sa.text(f"SELECT count(*) FROM analysis_events WHERE analysis_id = '{FAILED}'")
        assert connection.scalar(of_failed) == 0
    store.close()
