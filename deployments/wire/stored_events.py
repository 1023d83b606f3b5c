"""Convert events of stored analyses to rows of the store, and rows to JSON for clients."""

import json
from collections.abc import Mapping
from typing import Any

from deployments.wire.errors import ErrorBody, ErrorDetail, error_body
from deployments.wire.event_bodies import EventBodies, EventName
from deployments.wire.older_bodies import complete_chunk, complete_result
from pipeline.analysis import AnalysisDone, AnswerDelta, ChunkDone, PlanReady, Progress
from pipeline.store import AnalysisFailure, EventKind, NewEvent, StoredEvent

EVENT_NAMES: Mapping[EventKind, EventName] = {
    EventKind.PLAN: EventName.PLAN,
    EventKind.CHUNK: EventName.CHUNK,
    EventKind.PROGRESS: EventName.PROGRESS,
    EventKind.TEXT: EventName.DELTA,
    EventKind.RESULT: EventName.ANSWER,
    EventKind.FAILED: EventName.ERROR,
    EventKind.CANCELLED: EventName.CANCELLED,
}


def new_event(event: PlanReady | ChunkDone | Progress | AnswerDelta, bodies: EventBodies) -> NewEvent:
    """Return the row for an event other than the last one."""
    match event:
        case PlanReady():
            return NewEvent(EventKind.PLAN, _body(event, bodies))
        case ChunkDone(answer):
            body = _body(event, bodies)
            return NewEvent(EventKind.CHUNK, body, chunk_index=answer.chunk_index, chunk_failed=answer.text is None)
        case Progress():
            return NewEvent(EventKind.PROGRESS, _body(event, bodies))
        case AnswerDelta(text):
            return NewEvent(EventKind.TEXT, text=text)


def result_body(event: AnalysisDone, bodies: EventBodies) -> str:
    """Return the body of the event that completes an analysis."""
    return _body(event, bodies)


def failure_of(error: Exception) -> AnalysisFailure:
    """Return the row for the error that ended an analysis. Messages of unexpected errors are not stored."""
    detail = ErrorBody.model_validate(error_body(error)).error
    return AnalysisFailure(detail.type, detail.message, detail.param)


def error_detail(failure: AnalysisFailure) -> ErrorDetail:
    return ErrorDetail(type=failure.type, message=failure.message, param=failure.param)


def event_data(event: StoredEvent) -> str:
    """Return a stored event's JSON, as clients receive it."""
    if event.kind == EventKind.FAILED and event.failure is not None:
        return ErrorBody(error=error_detail(event.failure)).model_dump_json()
    if event.kind == EventKind.TEXT:
        return _dump({"text": event.text})
    if event.body is None:
        return "{}"
    match event.kind:
        case EventKind.RESULT:
            return complete_result(event.body)
        case EventKind.CHUNK:
            return complete_chunk(event.body)
    return event.body


def _body(event: PlanReady | ChunkDone | Progress | AnalysisDone, bodies: EventBodies) -> str:
    _, body = bodies.of(event)
    return _dump(body)


def _dump(body: Mapping[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False)
