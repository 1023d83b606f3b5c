"""Stored analyses for tests of the routes: created over HTTP, then run by the test itself."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi.testclient import TestClient

from deployments.api.service import Service
from deployments.jobs.run_journal import RunJournal
from pipeline.store import AnalysisStore, ClaimedAnalysis
from tests.deployments.api.native_requests import ASKED

ROUTE = "/v1/analyses"
STORED = ROUTE + "?wait=false"
MODELS = ("longtake-demo", "sports")


def ask(client: TestClient, **fields: Any) -> dict[str, Any]:
    response = client.post(STORED, json=ASKED | {"seed": 42} | fields)
    assert response.status_code == 202, response.text
    body: dict[str, Any] = response.json()
    assert response.headers["location"] == f"{ROUTE}/{body['id']}"
    return body


def claimed_by(store: AnalysisStore) -> ClaimedAnalysis:
    claimed = store.leases.claim(MODELS)
    assert claimed
    return claimed


def claimed_from(service: Service) -> ClaimedAnalysis:
    claimed = asyncio.run(service.analysis_store.leases.claim(MODELS))
    assert claimed
    return claimed


def journal_of(service: Service, claimed: ClaimedAnalysis) -> RunJournal:
    return RunJournal(service.analysis_store.leases, claimed, service.model)


def numbered(text: str) -> list[int]:
    """The ids of the events in a stream."""
    return [int(line.removeprefix("id: ")) for line in text.split("\n") if line.startswith("id: ")]
