"""`POST /v1/analyses`."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from ray.exceptions import RayTaskError

from pipeline import errors
from tests.deployments.api.fakes import WHOLE, FakeOrchestrator
from tests.deployments.api.native_requests import ASKED, ROUTE
from tests.deployments.api.wire import check_discreet, error_of, events_of


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (errors.ReplicaLost("A replica was lost."), "replica_lost"),
        (RuntimeError("/secret/host_path"), "internal_error"),
        (RayTaskError("analyze", "Traceback", errors.EngineFailed("refused")).as_instanceof_cause(), "engine_failed"),
    ],
)
def test_a_stream_that_breaks_says_so(
    failure: Exception, kind: str, client: TestClient, orchestrator: FakeOrchestrator
) -> None:
    orchestrator.events = (*WHOLE[:2], failure)
    response = client.post(ROUTE, json=ASKED | {"stream": True})
    *_, (name, data) = events_of(response.text)
    assert name == "error"
    assert set(data) == {"error"}
    assert data["error"]["type"] == kind
    check_discreet(response.text)


def test_what_is_wrong_with_the_video_is_no_stream(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    orchestrator.events = (errors.UnreadableVideo("The video was cut off.", param="video_url"),)
    error = error_of(client.post(ROUTE, json=ASKED | {"stream": True}), 422)
    assert error == {"type": "unreadable_video", "message": "The video was cut off.", "param": "video_url"}
