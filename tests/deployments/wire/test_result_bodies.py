"""An analysis as JSON, field by field."""

from __future__ import annotations

from fastapi.testclient import TestClient

from pipeline.analysis import PlanReady
from tests.deployments.api.fakes import ANSWERED, FAILED, PLAN, FakeOrchestrator, done
from tests.deployments.api.native_requests import ASKED, ROUTE
from tests.deployments.api.result_bodies import ANALYSIS, VIDEO_METADATA
from tests.deployments.api.wire import events_of


def test_answer_field_by_field(client: TestClient) -> None:
    response = client.post(ROUTE, json=ASKED | {"seed": 42})
    assert response.status_code == 200
    body = response.json()
    assert "generated films" in body.pop("notice")  # the demo model's
    assert body == ANALYSIS


def test_video_metadata_where_it_is_asked_for(client: TestClient) -> None:
    asked = ASKED | {"include_video_metadata": True}
    whole = client.post(ROUTE, json=asked).json()
    events = events_of(client.post(ROUTE, json=asked | {"stream": True}).text)
    streamed = [data for name, data in events if name == "chunk"]
    for results in (whole["chunk_results"], streamed, events[-1][1]["chunk_results"]):
        assert [result["video_metadata"] for result in results] == [VIDEO_METADATA, None]


def test_nothing_was_answered(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    orchestrator.events = (PlanReady(PLAN), done(None, chunk_answers=(FAILED,)))
    body = client.post(ROUTE, json=ASKED).json()
    assert (body["success"], body["partial"], body["aggregated_response"]) == (False, True, None)


def test_a_failed_merge_keeps_the_chunks_answers(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    orchestrator.events = (PlanReady(PLAN), done(None, chunk_answers=(ANSWERED,), answer_error="No room."))
    body = client.post(ROUTE, json=ASKED).json()
    assert (body["success"], body["partial"], body["aggregation_error"]) == (True, True, "No room.")
    assert body["chunk_results"][0]["response"] == "A cat sits."
