"""Stored events, and how clients receive them."""

from __future__ import annotations

import json

import pytest

from deployments.config import AppSettings
from deployments.model_choice import choose_model
from deployments.wire.event_bodies import EventBodies, EventName
from deployments.wire.stored_events import EVENT_NAMES, error_detail, event_data, failure_of, new_event, result_body
from pipeline.analysis import AnalysisDone, AnalysisEvent, AnswerDelta, ChunkDone, PlanReady, Progress
from pipeline.errors import DecodeFailed
from pipeline.store import AnalysisFailure, EventKind, StoredEvent
from tests.deployments.api.fakes import ANSWERED, FAILED, PLAN, WHOLE
from tests.pipeline.store.samples import job

CHOICE = choose_model(AppSettings(lora_adapters={"sports": "a/folder"}), num_gpus=0, vllm_has_cuda=False)


def bodies() -> EventBodies:
    return EventBodies(job(), CHOICE, include_video_metadata=False)


def stored(event: AnalysisEvent, bodies: EventBodies) -> StoredEvent:
    """As the store returns it."""
    if isinstance(event, AnalysisDone):
        return StoredEvent(9, EventKind.RESULT, result_body(event, bodies))
    new = new_event(event, bodies)
    return StoredEvent(1, new.kind, new.body, new.text)


def test_every_kind_has_a_name_of_its_own() -> None:
    assert set(EVENT_NAMES) == set(EventKind)
    assert set(EVENT_NAMES.values()) == set(EventName) and len(set(EVENT_NAMES.values())) == len(EVENT_NAMES)


@pytest.mark.parametrize("place", range(len(WHOLE)))
def test_a_stored_event_is_that_of_a_live_stream(place: int) -> None:
    live, kept = bodies(), bodies()
    for event in WHOLE[: place + 1]:
        name, body = live.of(event)
        read = stored(event, kept)
    assert (EVENT_NAMES[read.kind], json.loads(event_data(read))) == (name, json.loads(json.dumps(body)))


@pytest.mark.parametrize(("answer", "failed"), [(ANSWERED, False), (FAILED, True)])
def test_a_chunk_says_whether_it_failed(answer: object, failed: bool) -> None:
    new = new_event(ChunkDone(answer), bodies())  # type: ignore[arg-type]
    assert (new.chunk_index, new.chunk_failed) == (ANSWERED.chunk_index if not failed else FAILED.chunk_index, failed)


def test_other_events_have_no_chunk() -> None:
    for event in (PlanReady(PLAN), Progress(1, 2), AnswerDelta("A")):
        new = new_event(event, bodies())
        assert (new.chunk_index, new.chunk_failed) == (None, None)


def test_failures_and_cancellations_are_rendered_when_they_are_read() -> None:
    failure = failure_of(DecodeFailed("No “frame”.", param="video_url"))
    assert failure == AnalysisFailure("decode_failed", "No “frame”.", "video_url")
    expected = {"type": "decode_failed", "message": "No “frame”.", "param": "video_url"}
    assert json.loads(event_data(StoredEvent(1, EventKind.FAILED, failure=failure))) == {"error": expected}
    assert error_detail(failure).model_dump() == expected
    assert event_data(StoredEvent(1, EventKind.CANCELLED)) == "{}"


def test_an_unexpected_error_keeps_its_message_to_the_log() -> None:
    failure = failure_of(ZeroDivisionError("host_path"))
    assert failure.type == "internal_error" and "host_path" not in failure.message
