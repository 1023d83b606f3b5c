"""The HTTP application as a whole: its routes, and its OpenAPI document."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from fastapi.testclient import TestClient

from deployments.ingress import build_http_app


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    with TestClient(build_http_app()) as client:
        found: dict[str, Any] = client.get("/openapi.json").json()
    return found


def test_every_dialect_has_its_routes(document: dict[str, Any]) -> None:
    assert set(document["paths"]) >= {
        "/v1/analyses", "/v1/analyses/{analysis_id}", "/v1/analyses/{analysis_id}/events", "/v1/estimate",
        "/v1/chat/completions", "/v1/models", "/v1/files", "/v1/files/uploads/{upload_id}", "/run", "/health/ready",
    }  # fmt: skip


def test_bodies_that_routes_read_themselves_are_documented(document: dict[str, Any]) -> None:
    names = {"AnalysisRequest", "EstimateRequest", "ChatCompletionRequest", "JobRequest", "FileFields"}
    assert names <= set(document["components"]["schemas"])
    prompt = document["components"]["schemas"]["AnalysisRequest"]["properties"]["prompt"]
    assert prompt["description"] == "The question about the video."


def test_every_reference_leads_to_a_schema(document: dict[str, Any]) -> None:
    referenced = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert referenced <= set(document["components"]["schemas"])
