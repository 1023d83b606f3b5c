"""Numbers of events, and what the last event of an analysis changes with it."""

from __future__ import annotations

from pipeline.store import AnalysisFailure, AnalysisStatus, AnalysisStore, EventKind, NewEvent
from pipeline.store.event_log import append_events, end_analysis, select_events
from pipeline.store.tables import ANALYSES, EVENTS
from tests.pipeline.store.samples import PLAN_EVENT, chunk_event, new, text_event

FAILURE = AnalysisFailure("engine_died", "The engine died.")


def test_events_end_at_the_last_number(store: AnalysisStore) -> None:
    analysis_id = store.analyses.create(new())[0].analysis_id
    is_of_analysis = EVENTS.c.analysis_id == analysis_id
    with store.database.writing() as connection:
        append_events(connection, analysis_id, 3, [PLAN_EVENT, chunk_event(1, success=False), text_event("A")])
        found = select_events(connection, is_of_analysis)
        assert select_events(connection, is_of_analysis, EVENTS.c.number > 1, limit=1) == found[1:2]
    assert [(event.number, event.kind, event.body, event.text) for event in found] == [
        (1, EventKind.PLAN, "{}", None),
        (2, EventKind.CHUNK, "body of 1", None),
        (3, EventKind.TEXT, None, "A"),
    ]


def test_an_analysis_ends_once_with_its_last_event(store: AnalysisStore) -> None:
    ended, other = (store.analyses.create(new(number))[0].analysis_id for number in range(2))
    is_running = (ANALYSES.c.id == ended) & (ANALYSES.c.status == AnalysisStatus.QUEUED)
    last_event = NewEvent(EventKind.FAILED)
    with store.database.writing() as connection:
        for expected in (True, False):
            assert expected == end_analysis(
                connection,
                is_running,
                AnalysisStatus.FAILED,
                last_event,
                now=2_000_000.0,
                keep_seconds=10.0,
                failure=FAILURE,
            )
    record = store.analyses.get(ended)
    assert (record.status, record.completed_at, record.expires_at) == (AnalysisStatus.FAILED, 2_000_000, 2_000_010)
    (event,) = store.analyses.events(ended)
    assert (event.number, event.kind, event.failure) == (1, EventKind.FAILED, FAILURE)
    assert store.analyses.get(other).status == AnalysisStatus.QUEUED
