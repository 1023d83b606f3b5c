"""`/health/live` and `/health/ready`."""

from __future__ import annotations

from fastapi.testclient import TestClient

from pipeline import errors
from tests.deployments.api.fakes import FakeOrchestrator
from tests.deployments.api.wire import error_of


def test_health(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    assert client.get("/health/live").json() == {"status": "live"}
    assert client.get("/health/ready").json() == {"status": "ready", "model": "longtake-demo"}
    orchestrator.ready_error = errors.EngineFailed("refused")
    refused = client.get("/health/ready")
    assert error_of(refused, 503)["type"] == "engine_failed"
    assert int(refused.headers["Retry-After"]) > 0
    assert client.get("/health/live").status_code == 200
