"""`response_format`: the format that reaches the engine, and invalid ones."""

from __future__ import annotations

import json

import pytest
from fastapi.testclient import TestClient

from pipeline.types import JsonFormat
from tests.deployments.api.fakes import FakeOrchestrator
from tests.deployments.api.native_requests import ASKED, ROUTE, VIDEO_BYTES
from tests.deployments.api.wire import error_of

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}}


def test_a_schema_arrives_for_the_answer_and_for_the_chunks(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "count", "schema": SCHEMA, "strict": True}}
    assert client.post(ROUTE, json=ASKED | {"response_format": wanted}).status_code == 200
    fields = {"prompt": "What?", "response_format": json.dumps(wanted)}
    assert client.post(ROUTE, data=fields, files={"video": ("cat.mp4", VIDEO_BYTES)}).status_code == 200
    for job in orchestrator.jobs:
        assert job.token_sampling.json_format == job.chunk_token_sampling.json_format == JsonFormat(json.dumps(SCHEMA))


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"type": "xml"}, "'text', 'json_object' or 'json_schema'"),
        ({"type": "json_schema"}, "json_schema is not given"),
        ({"type": "text", "json_schema": {"schema": {}}}, "with no other"),
        ({"type": "json_schema", "json_schema": {"schema": {"type": "number-ish"}}}, "not a JSON schema: 'number-ish'"),
        ({"type": "json_schema", "json_schema": {"schema": {"title": "x" * 70_000}}}, "65536 are allowed"),
        ("{broken", "response_format"),
    ],
)
def test_a_format_that_cannot_be_is_refused(wanted: object, words: str, client: TestClient) -> None:
    error = error_of(client.post(ROUTE, json=ASKED | {"response_format": wanted}), 400)
    assert error["param"].startswith("response_format")
    assert words in error["message"]
