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
    assert error_of(client.get("/health/ready"), 503)["type"] == "engine_failed"
    assert client.get("/health/live").status_code == 200
