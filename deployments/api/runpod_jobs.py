"""Stored analyses as jobs of RunPod's serverless API."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from deployments.wire.stored_events import event_data
from pipeline.errors import DeadlineExceeded
from pipeline.store import AnalysisRecord, AnalysisStatus, EventKind, StoredEvent

_STATES = {
    AnalysisStatus.QUEUED: "IN_QUEUE",
    AnalysisStatus.RUNNING: "IN_PROGRESS",
    AnalysisStatus.COMPLETED: "COMPLETED",
    AnalysisStatus.FAILED: "FAILED",
    AnalysisStatus.CANCELLED: "CANCELLED",
}
_TIMED_OUT = "TIMED_OUT"


def job_state(record: AnalysisRecord) -> str:
    is_late = record.failure is not None and record.failure.type == DeadlineExceeded.type_name()
    return _TIMED_OUT if is_late else _STATES[record.status]


def job_body(record: AnalysisRecord, result: StoredEvent | None) -> dict[str, Any]:
    """Return the body of `/status`. `result` is the analysis's last event if it is completed. Times are ms."""
    body: dict[str, Any] = {"id": record.analysis_id, "status": job_state(record)}
    # The delay of a job that never started ends when the job does.
    begun_at = record.started_at or record.completed_at or time.time()
    body["delayTime"] = _milliseconds(record.created_at, begun_at)
    if record.started_at is not None and record.completed_at is not None:
        body["executionTime"] = _milliseconds(record.started_at, record.completed_at)
    if record.failure is not None:
        message = record.failure.message
        body |= {"error": message, "output": {"success": False, "error": message}}
    if result is not None:
        body["output"] = job_output(json.loads(event_data(result)))
    return body


def job_output(analysis: Mapping[str, Any]) -> dict[str, Any]:
    """Return an analysis' result with errors as plain texts; without any answer it has an `error` of its own."""
    chunks = [chunk_output(chunk) for chunk in analysis["chunk_results"]]
    reasons = [chunk["error"] for chunk in chunks if chunk["error"]]
    why = {} if analysis["success"] or not reasons else {"error": reasons[0]}
    return {**analysis, "chunk_results": chunks, **why}


def chunk_output(chunk: Mapping[str, Any]) -> dict[str, Any]:
    return {**chunk, "error": chunk["error"]["message"] if chunk["error"] else None}


def stream_items(events: Sequence[StoredEvent]) -> list[dict[str, Any]]:
    """Return the items of `/stream` for `CHUNK` and `RESULT` events."""
    items = []
    for event in events:
        body = json.loads(event_data(event))
        items.append({"output": chunk_output(body) if event.kind == EventKind.CHUNK else job_output(body)})
    return items


def health_body(counts: Mapping[AnalysisStatus, int], *, num_retried: int, is_ready: bool) -> dict[str, Any]:
    """Return the body of `/health`, where the whole graph counts as one worker."""
    num_running = counts.get(AnalysisStatus.RUNNING, 0)
    running = int(is_ready and num_running > 0)
    return {
        "jobs": {
            "completed": counts.get(AnalysisStatus.COMPLETED, 0),
            "failed": counts.get(AnalysisStatus.FAILED, 0),
            "inProgress": num_running,
            "inQueue": counts.get(AnalysisStatus.QUEUED, 0),
            "retried": num_retried,
        },
        "workers": {
            "idle": int(is_ready) - running,
            "initializing": int(not is_ready),
            "ready": int(is_ready),
            "running": running,
            "throttled": 0,
            "unhealthy": 0,
        },
    }


def _milliseconds(since: float, until: float) -> int:
    return max(0, round((until - since) * 1000))
