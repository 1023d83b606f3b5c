"""Stored analyses as RunPod's jobs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from deployments.api.runpod_jobs import health_body, job_body, job_output, stream_items
from pipeline.store import AnalysisAbout, AnalysisFailure, AnalysisRecord, AnalysisStatus, EventKind, StoredEvent

FAILURE = {"type": "decode_failed", "message": "No frame could be decoded."}
SAID = {
    "times": [],
    "chunk_index": 0,
    "start_time": 0.0,
    "end_time": 60.0,
    "success": True,
    "response": "A cat.",
    "error": None,
}
SILENT = {
    "times": [],
    "chunk_index": 1,
    "start_time": 58.0,
    "end_time": 118.0,
    "success": False,
    "response": None,
    "error": FAILURE,
}
RESULT = {
    "success": True,
    "num_chunks": 2,
    "chunk_results": [SAID, SILENT],
    "timed_results": [],
    "aggregated_response": "A cat sits.",
}


def record(
    status: AnalysisStatus,
    *,
    started_at: float | None = 12.5,
    completed_at: float | None = None,
    failure: AnalysisFailure | None = None,
) -> AnalysisRecord:
    about = AnalysisAbout("What happens?", "cat.mp4", None)
    return AnalysisRecord(
        "analysis-1", status, 10.0, 20.0, started_at, completed_at, None, "model", about, 0, None, False, failure
    )


def stored(number: int, kind: EventKind, body: dict[str, Any]) -> StoredEvent:
    return StoredEvent(number, kind, json.dumps(body))


def test_a_job_that_was_done() -> None:
    body = job_body(record(AnalysisStatus.COMPLETED, completed_at=15.75), stored(9, EventKind.RESULT, RESULT))
    output = body.pop("output")
    assert body == {"id": "analysis-1", "status": "COMPLETED", "delayTime": 2500, "executionTime": 3250}
    assert output == RESULT | {"chunk_results": [SAID, SILENT | {"error": "No frame could be decoded."}]}


@pytest.mark.parametrize(
    ("kind", "state"),
    [("unreadable_video", "FAILED"), ("internal_error", "FAILED"), ("deadline_exceeded", "TIMED_OUT")],
)
def test_a_job_that_failed(kind: str, state: str) -> None:
    failure = AnalysisFailure(kind, "It is damaged.")
    body = job_body(record(AnalysisStatus.FAILED, completed_at=13.0, failure=failure), None)
    assert body == {
        "id": "analysis-1",
        "status": state,
        "delayTime": 2500,
        "executionTime": 500,
        "error": "It is damaged.",
        "output": {"success": False, "error": "It is damaged."},
    }


def test_a_job_under_way() -> None:
    body = {"id": "analysis-1", "status": "IN_PROGRESS", "delayTime": 2500}
    assert job_body(record(AnalysisStatus.RUNNING), None) == body


def test_a_job_that_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: 14.0)
    body = {"id": "analysis-1", "status": "IN_QUEUE", "delayTime": 4000}
    assert job_body(record(AnalysisStatus.QUEUED, started_at=None), None) == body


def test_a_job_that_was_cancelled_while_it_waited() -> None:
    body = job_body(record(AnalysisStatus.CANCELLED, started_at=None, completed_at=11.0), None)
    assert body == {"id": "analysis-1", "status": "CANCELLED", "delayTime": 1000}


def test_an_output_that_says_nothing_says_why() -> None:
    output = job_output(RESULT | {"success": False, "chunk_results": [SILENT], "aggregated_response": None})
    assert (output["success"], output["error"]) == (False, "No frame could be decoded.")
    assert "error" not in job_output(RESULT)


def test_pieces_of_a_stream() -> None:
    first, last = stream_items([stored(3, EventKind.CHUNK, SILENT), stored(9, EventKind.RESULT, RESULT)])
    assert first == {"output": SILENT | {"error": "No frame could be decoded."}}
    assert last == {"output": job_output(RESULT)}


@pytest.mark.parametrize(
    ("num_running", "is_ready", "workers"),
    [(0, True, {"idle": 1, "ready": 1}), (3, True, {"running": 1, "ready": 1}), (3, False, {"initializing": 1})],
)
def test_health(num_running: int, is_ready: bool, workers: dict[str, int]) -> None:
    counts = {AnalysisStatus.QUEUED: 2, AnalysisStatus.RUNNING: num_running, AnalysisStatus.FAILED: 4}
    body = health_body(counts, num_retried=1, is_ready=is_ready)
    assert body["jobs"] == {"completed": 0, "failed": 4, "inProgress": num_running, "inQueue": 2, "retried": 1}
    names = ("idle", "initializing", "ready", "running", "throttled", "unhealthy")
    assert body["workers"] == dict.fromkeys(names, 0) | workers
