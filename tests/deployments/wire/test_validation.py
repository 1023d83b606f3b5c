"""Fields that are unknown, missing or invalid."""

from __future__ import annotations

from fastapi.testclient import TestClient

from deployments.api.native import AnalysisRequest
from tests.deployments.api.native_requests import ASKED, ROUTE, VIDEO_BYTES
from tests.deployments.api.wire import error_of


def test_an_unknown_field_is_refused_with_the_known_ones(client: TestClient) -> None:
    error = error_of(client.post(ROUTE, json=ASKED | {"frames_per_second": 2}), 400)
    assert error["param"] == "frames_per_second"
    assert error["message"].startswith("frames_per_second is not a field; the fields are ")
    assert all(name in error["message"] for name in AnalysisRequest.model_fields)


def test_an_unknown_field_of_a_form_is_refused(client: TestClient) -> None:
    response = client.post(ROUTE, data={"prompt": "What?", "fsp": "2"}, files={"video": ("cat.mp4", VIDEO_BYTES)})
    assert error_of(response, 400)["param"] == "fsp"


def test_all_that_is_wrong_is_said_at_once(client: TestClient) -> None:
    error = error_of(client.post(ROUTE, json={"fps": 0, "seed": -1}), 400)
    assert "prompt is missing" in error["message"]
    assert "seed is -1" in error["message"]


def test_half_a_character_is_refused(client: TestClient) -> None:
    """JSON can hold it, UTF-8 cannot."""
    body = rb'{"prompt": "What \ud800?", "video_url": "https://example.com/cat.mp4"}'
    assert error_of(client.post(ROUTE, content=body), 400)["param"] == "prompt"


def test_half_a_character_in_a_fields_name_is_refused(client: TestClient) -> None:
    body = rb'{"prompt": "What?", "video_url": "https://example.com/cat.mp4", "\ud800": 1}'
    error_of(client.post(ROUTE, content=body), 400)
