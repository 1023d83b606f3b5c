"""The span of an HTTP request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from deployments.api.request_spans import RequestSpans
from deployments.logs import follow
from deployments.orchestrator_client import begin_trail
from pipeline.types import NO_TRAIL
from tests.deployments.telemetry.tracing_provider import INCOMING, SECRET, exported, flush
from tests.otlp import Collector


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = FastAPI()
    app.add_middleware(RequestSpans)

    @app.get("/v1/analyses/{analysis_id}")
    async def analysis(analysis_id: str) -> dict[str, Any]:
        return vars(begin_trail(NO_TRAIL))

    @app.get("/v1/broken")
    async def broken() -> None:
        raise ValueError(SECRET)

    @app.get("/health/live")
    async def live() -> dict[str, Any]:
        return {}

    with TestClient(app, raise_server_exceptions=False) as client:
        yield client
    follow(NO_TRAIL)


def test_a_request_goes_on_with_the_clients_trace(client: TestClient, collector: Collector) -> None:
    answer = client.get(f"/v1/analyses/{SECRET}?token={SECRET}", headers={"traceparent": INCOMING})
    span = exported(collector)["GET /v1/analyses/{analysis_id}"]
    assert (span.trace_id, span.parent_id) == tuple(INCOMING.split("-")[1:3])
    assert span.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/v1/analyses/{analysis_id}",
    }
    trail = answer.json()
    assert trail["traceparent"] == f"00-{span.trace_id}-{span.span_id}-01"
    assert trail["analysis_id"].startswith("analysis-") and len(trail["analysis_id"]) == len("analysis-") + 32
    assert not any(SECRET.encode() in body for body in collector.bodies)


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [("/v1/broken", 500, "internal_error"), ("/nowhere", 404, None)],
)
def test_failed_requests(path: str, status: int, error: str | None, client: TestClient, collector: Collector) -> None:
    assert client.get(path).status_code == status
    flush()
    (span,) = collector.spans
    assert span.error == error
    assert span.attributes.get("http.response.status_code", status) == status
    assert not any(SECRET.encode() in body for body in collector.bodies)


def test_probes_are_not_traced(client: TestClient, collector: Collector) -> None:
    assert client.get("/health/live").status_code == 200
    assert exported(collector) == {}
