"""Typed events."""

from __future__ import annotations

import json

import pytest

from longtake import AnswerEvent, CancelledEvent, DeltaEvent, ServerError, ServerEvent
from longtake.events import event_of
from tests.longtake.bodies import ANALYSIS


def test_a_known_event_is_typed() -> None:
    event = event_of("delta", '{"text": "A cat"}', "7", 200)
    assert isinstance(event, DeltaEvent)
    assert (event.text, event.id, event.name, event.is_last) == ("A cat", "7", "delta", False)


def test_an_event_of_a_later_version_is_kept() -> None:
    event = event_of("thumbnail", '{"of": 3}', "", 200)
    assert (type(event), event.data, event.id) == (ServerEvent, {"of": 3}, None)


def test_streams_end_with_an_answer_or_a_cancellation() -> None:
    answer = event_of("answer", json.dumps(ANALYSIS), "", 200)
    assert isinstance(answer, AnswerEvent) and answer.is_last
    assert answer.answer.text == "A cat sits all day." and answer.answer is answer.answer
    cancelled = event_of("cancelled", "{}", "9", 200)
    assert isinstance(cancelled, CancelledEvent) and cancelled.is_last


def test_a_failure_is_raised() -> None:
    with pytest.raises(ServerError, match="It died") as caught:
        event_of("error", '{"error": {"type": "engine_died", "message": "It died.", "param": null}}', "", 200)
    assert (caught.value.type, caught.value.status) == ("engine_died", 200)
