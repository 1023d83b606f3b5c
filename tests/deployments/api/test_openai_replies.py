"""Chat completions, whole and streamed, field by field."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from pipeline import errors
from pipeline.analysis import AnswerDelta, PlanReady
from tests.deployments.api.chat_requests import ASKED, ROUTE
from tests.deployments.api.fakes import ANSWERED, FAILED, PLAN, WHOLE, FakeOrchestrator, done
from tests.deployments.api.result_bodies import ANALYSIS, VIDEO_METADATA
from tests.deployments.api.wire import check_discreet, error_of, events_of

USAGE = {
    "prompt_tokens": 150,
    "completion_tokens": 20,
    "total_tokens": 170,
    "prompt_tokens_details": {"cached_tokens": 0},
}
NOT_IN_LONGTAKE = ("model", "aggregated_response", "usage", "logprobs")
IN_LONGTAKE = {name: value for name, value in ANALYSIS.items() if name not in NOT_IN_LONGTAKE}


def pieces_of(text: str) -> list[dict[str, Any]]:
    """The chunks of a streamed completion, whose end is checked."""
    *events, end = events_of(text)
    assert end == (None, "[DONE]")
    assert all(name is None for name, _ in events)
    return [data for _, data in events]


def test_completion_field_by_field(client: TestClient) -> None:
    response = client.post(ROUTE, json=ASKED | {"seed": 42})
    assert response.status_code == 200
    body = response.json()
    longtake = body.pop("longtake")
    assert "generated films" in longtake.pop("notice")
    assert longtake == IN_LONGTAKE
    assert body.pop("id").startswith("chatcmpl-")
    assert isinstance(body.pop("created"), int)
    assert body == {
        "object": "chat.completion",
        "model": "longtake-demo",
        "system_fingerprint": None,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "A cat sits all day.", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
    }


def test_completions_differ_in_their_id(client: TestClient) -> None:
    assert len({client.post(ROUTE, json=ASKED).json()["id"] for _ in range(3)}) == 3


def test_stream(client: TestClient) -> None:
    response = client.post(ROUTE, json=ASKED | {"seed": 42, "stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    pieces = pieces_of(response.text)
    longtake = pieces[-1].pop("longtake")
    longtake.pop("notice")
    assert longtake == IN_LONGTAKE
    heads = {(piece.pop("id"), piece.pop("created"), piece.pop("model"), piece.pop("object")) for piece in pieces}
    assert len(heads) == 1  # one completion
    assert [piece.pop("choices") for piece in pieces] == [
        [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]
        for delta, reason in [
            ({"role": "assistant", "content": ""}, None),
            ({"content": "A cat sits "}, None),
            ({"content": "all day."}, None),
            ({}, "stop"),
        ]
    ]
    assert all(piece == {"system_fingerprint": None} for piece in pieces)


def test_video_metadata_where_it_is_asked_for(client: TestClient) -> None:
    asked = ASKED | {"include_video_metadata": True}
    whole = client.post(ROUTE, json=asked).json()["longtake"]
    streamed = pieces_of(client.post(ROUTE, json=asked | {"stream": True}).text)[-1]["longtake"]
    for longtake in (whole, streamed):
        assert [result["video_metadata"] for result in longtake["chunk_results"]] == [VIDEO_METADATA, None]


def test_usage_of_a_stream_comes_last_where_it_is_asked_for(client: TestClient) -> None:
    asked = ASKED | {"stream": True, "stream_options": {"include_usage": True}}
    *others, usage = pieces_of(client.post(ROUTE, json=asked).text)
    assert (usage["choices"], usage["usage"]) == ([], USAGE)
    assert all(piece["usage"] is None for piece in others)


def test_what_was_not_passed_on_before_comes_in_the_end(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    orchestrator.events = (PlanReady(PLAN), AnswerDelta("A cat "), done("A cat sits all day."))
    pieces = pieces_of(client.post(ROUTE, json=ASKED | {"stream": True}).text)
    contents = [piece["choices"][0]["delta"].get("content") for piece in pieces]
    assert contents == ["", "A cat ", "sits all day.", None]


def test_without_a_merge_the_parts_are_the_answer(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    orchestrator.events = (PlanReady(PLAN), done(None))
    whole = client.post(ROUTE, json=ASKED | {"aggregate": False}).json()
    assert whole["choices"][0]["message"]["content"] == "[00:00 - 01:00]\nA cat sits."
    pieces = pieces_of(client.post(ROUTE, json=ASKED | {"aggregate": False, "stream": True}).text)
    assert [piece["choices"][0]["delta"].get("content") for piece in pieces] == [
        "",
        "[00:00 - 01:00]\nA cat sits.",
        None,
    ]


def test_no_answer_at_all_is_an_error(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    orchestrator.events = (PlanReady(PLAN), done(None, chunk_answers=(FAILED,)))
    error = error_of(client.post(ROUTE, json=ASKED), 500)
    assert error["message"] == "No part of the video could be answered: No frame could be decoded."
    *_, last = pieces_of(client.post(ROUTE, json=ASKED | {"stream": True}).text)
    assert last == {"error": error | {"code": None}}


@pytest.mark.parametrize(
    ("failure", "kind"), [(errors.EngineDied("gone"), "engine_died"), (RuntimeError("/host_path"), "internal_error")]
)
def test_a_stream_that_breaks_says_so(
    failure: Exception, kind: str, client: TestClient, orchestrator: FakeOrchestrator
) -> None:
    orchestrator.events = (*WHOLE[:7], failure)
    response = client.post(ROUTE, json=ASKED | {"stream": True})
    *_, last = pieces_of(response.text)
    assert last["error"]["type"] == kind
    check_discreet(response.text)


def test_a_chunks_answer_is_not_lost_in_a_merge_that_failed(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    orchestrator.events = (PlanReady(PLAN), done(None, chunk_answers=(ANSWERED,), answer_error="No room."))
    body = client.post(ROUTE, json=ASKED).json()
    assert body["choices"][0]["message"]["content"] == "[00:00 - 01:00]\nA cat sits."
    assert body["longtake"]["aggregation_error"] == "No room."
