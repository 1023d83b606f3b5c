"""`response_format`: the format that reaches the engine, and invalid ones."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from deployments.api.response_format import MAX_SCHEMA_DEPTH, MAX_SCHEMA_VALUES
from deployments.wire.json_texts import extent_of
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


def nested(depth: int, wrap: Callable[[Any], Any]) -> Any:
    schema: Any = {"type": "string"}
    for _ in range(depth):
        schema = wrap(schema)
    return schema


WRAPS: dict[str, Callable[[Any], Any]] = {
    "items": lambda inner: {"type": "array", "items": inner},
    "properties": lambda inner: {"type": "object", "properties": {"a": inner}, "required": ["a"]},
    "anyOf": lambda inner: {"anyOf": [inner]},
    "allOf": lambda inner: {"allOf": [{"not": inner}]},
    "$defs": lambda inner: {"$defs": {"a": inner}},
    "const": lambda inner: {"const": [inner]},
    "unknown": lambda inner: {"x": [[inner]]},
}


@pytest.mark.parametrize("field", ["response_format", "chunk_response_format"])
@pytest.mark.parametrize("depth", [65, 100, 150, 200, 1000, 3000])
@pytest.mark.parametrize("wrap", WRAPS.values(), ids=WRAPS)
def test_a_schema_that_is_nested_too_deeply_is_refused(
    wrap: Callable[[Any], Any], depth: int, field: str, client: TestClient
) -> None:
    # json.dumps recurses, so the text grows by itself.
    before, after = json.dumps(wrap("INNER")).split('"INNER"')
    schema = before * depth + '{"type": "string"}' + after * depth
    wanted = f'{{"type": "json_schema", "json_schema": {{"schema": {schema}}}}}'
    body = json.dumps(ASKED)[:-1] + f', "{field}": {wanted}}}'
    error = error_of(client.post(ROUTE, content=body), 400)
    assert re.search(r"has \d+ levels .* at most 64 are|nested more than 256 levels", error["message"])
    form = {"prompt": "What?", field: wanted}
    error = error_of(client.post(ROUTE, data=form, files={"video": ("cat.mp4", VIDEO_BYTES)}), 400)
    assert re.search(r"has \d+ levels .* at most 64 are|nested more than 256 levels", error["message"])
    assert error["param"].endswith("response_format")


@pytest.mark.parametrize("wrap", [WRAPS[name] for name in ("items", "properties", "anyOf", "const")])
def test_a_schema_at_the_limit_of_depth_is_taken(wrap: Callable[[Any], Any], client: TestClient) -> None:
    levels = extent_of(wrap(0)).depth
    schema = nested((MAX_SCHEMA_DEPTH - 1) // levels, wrap)
    wanted = {"type": "json_schema", "json_schema": {"schema": schema}}
    assert client.post(ROUTE, json=ASKED | {"response_format": wanted}).status_code == 200


@pytest.mark.parametrize(
    "schema",
    [
        {"enum": list(range(MAX_SCHEMA_VALUES))},
        {"allOf": [{}] * MAX_SCHEMA_VALUES},
        {"properties": {str(number): {} for number in range(MAX_SCHEMA_VALUES)}},
        {"anyOf": [{"required": ["a"]}] * (MAX_SCHEMA_VALUES // 3 + 1)},
    ],
)
def test_a_schema_of_too_many_values_is_refused(schema: Any, client: TestClient) -> None:
    wanted = {"type": "json_schema", "json_schema": {"schema": schema}}
    error = error_of(client.post(ROUTE, json=ASKED | {"response_format": wanted}), 400)
    assert f"has {extent_of(schema).num_values} values; at most {MAX_SCHEMA_VALUES} are allowed" in error["message"]
    assert error["param"] == "response_format"
