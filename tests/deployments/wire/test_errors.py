"""Each of our errors has a status, and clients receive its message; other errors reveal nothing."""

from __future__ import annotations

import inspect
from http import HTTPStatus
from typing import Any

import pytest
from fastapi.testclient import TestClient
from ray.exceptions import RayTaskError

from deployments.api import openai_replies, runpod
from deployments.wire.errors import STATUS, error_body, error_response
from pipeline import errors
from pipeline.errors import LongtakeError
from tests.deployments.api import chat_requests
from tests.deployments.api.fakes import FakeOrchestrator
from tests.deployments.api.native_requests import ASKED, ROUTE
from tests.deployments.api.wire import error_of

CLASSES = {found for _, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, LongtakeError)}


def test_every_error_has_a_status() -> None:
    assert set(STATUS) == CLASSES
    assert all(status in set(HTTPStatus) for status in STATUS.values())


@pytest.mark.parametrize("error_class", sorted(CLASSES, key=lambda found: found.__name__))
def test_error_reaches_the_client(
    error_class: type[LongtakeError], client: TestClient, orchestrator: FakeOrchestrator
) -> None:
    failure = error_class("What was got, and what to do.", param="video_url")
    for raised in (failure, RayTaskError("plan", "Traceback", failure).as_instanceof_cause()):
        orchestrator.events = (raised,)
        response = client.post("/v1/analyses", json={"prompt": "What?", "video_url": "https://example.com/cat.mp4"})
        assert error_of(response, STATUS[error_class]) == {
            "type": error_class.type_name(),
            "message": "What was got, and what to do.",
            "param": "video_url",
        }


def test_only_errors_of_clients_have_status_4xx() -> None:
    for error_class, status in STATUS.items():
        is_ours = issubclass(error_class, errors.ServiceError) or error_class is LongtakeError
        assert (status >= 500) == (is_ours and error_class is not errors.EngineBusy)  # 429: the client retries


def test_other_errors_reveal_nothing() -> None:
    body = error_body(RuntimeError("secret"))
    assert body["error"]["type"] == "internal_error"
    assert "secret" not in str(body)


def test_a_busy_server_responds_with_retry_after(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    orchestrator.events = (errors.EngineBusy("100 analyses are under way, the most allowed here."),)
    response = client.post(ROUTE, json=ASKED)
    assert error_of(response, 429)["type"] == "engine_busy"
    assert int(response.headers["Retry-After"]) > 0


TEMPORARY = {error_class for error_class, status in STATUS.items() if status in {429, 503}}
IN_EACH_DIALECT = [
    (ROUTE, ASKED),
    ("/v1/estimate", ASKED),
    (chat_requests.ROUTE, chat_requests.ASKED),
]


@pytest.mark.parametrize("error_class", sorted(CLASSES, key=lambda found: found.__name__))
@pytest.mark.parametrize(("route", "body"), IN_EACH_DIALECT, ids=lambda value: value if isinstance(value, str) else "")
def test_every_429_and_503_says_when_to_come_again(
    client: TestClient, orchestrator: FakeOrchestrator, error_class: type[LongtakeError], route: str, body: Any
) -> None:
    orchestrator.events = (error_class("Not now."),)
    response = client.post(route, json=body)
    assert response.status_code == STATUS[error_class]
    assert ("Retry-After" in response.headers) == (error_class in TEMPORARY)


@pytest.mark.parametrize("error_class", sorted(TEMPORARY, key=lambda found: found.__name__))
def test_every_dialect_renders_it_with_retry_after(error_class: type[LongtakeError]) -> None:
    for render in (error_response, openai_replies.coded_error, runpod._plain_error):
        assert int(render(error_class("Not now.")).headers["Retry-After"]) > 0


def test_an_unexpected_exception_is_an_internal_error(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    orchestrator.events = (RuntimeError("secret of /host_path"),)
    error = error_of(client.post(ROUTE, json=ASKED), 500)
    assert error["type"] == "internal_error"


def test_an_error_from_another_replica_keeps_its_type(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    cause = errors.SourceNotFound("No such video.", param="video_url")
    orchestrator.events = (RayTaskError("plan", "Traceback", cause).as_instanceof_cause(),)
    error = error_of(client.post(ROUTE, json=ASKED), 404)
    assert error == {"type": "source_not_found", "message": "No such video.", "param": "video_url"}


def test_unknown_routes_and_methods(client: TestClient) -> None:
    assert error_of(client.get("/v1/analysis"), 404)["type"] == "not_found"
    error = error_of(client.put(ROUTE), 405)
    assert (error["type"], error["param"]) == ("invalid_request", None)
