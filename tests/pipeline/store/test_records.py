"""Statuses and kinds of events."""

from __future__ import annotations

from pipeline.store import AnalysisStatus, EventKind
from pipeline.store.records import FINISHED, UNFINISHED


def test_every_status_is_finished_or_not() -> None:
    assert set(FINISHED) | set(UNFINISHED) == set(AnalysisStatus)
    assert not set(FINISHED) & set(UNFINISHED)


def test_the_last_events() -> None:
    assert {kind for kind in EventKind if kind.is_last} == {EventKind.RESULT, EventKind.FAILED, EventKind.CANCELLED}
