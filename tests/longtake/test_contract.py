"""The client and the server agree: each request field, parameter, result field and event has its counterpart.

The server's side is its OpenAPI document; the client's is what its public methods send and the types they return.
What differs on purpose stands here, with the reason.
"""

from __future__ import annotations

import inspect
import json
import re
import typing
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.ingress import build_http_app
from deployments.wire.event_bodies import EventName
from longtake import AnalysisOptions, DeltaEvent, Longtake, ProgressEvent, ServerError, ServerPath, SubmitOptions
from longtake.calls import ExportFormat, Order, Purpose
from longtake.events import ERROR, EVENT_TYPES, event_of
from longtake.plans import Estimate
from longtake.results import AnalysisState, Answer, File, Status
from pipeline.analysis import AnswerDelta, Progress
from tests.longtake.bodies import EVENT_BODIES
from tests.longtake.schemas import Comparison, Schema

TAGS = {"analyses", "files"}
"""Of the routes that this client is for; OpenAI's and RunPod's dialects have clients of their own."""

NOT_CALLED = {
    "options /v1/files/uploads": "tus clients do it",
    "post /v1/files/uploads": "tus clients do it",
    "options /v1/files/uploads/{upload_id}": "tus clients do it",
    "head /v1/files/uploads/{upload_id}": "tus clients do it",
    "get /v1/files/uploads/{upload_id}": "tus clients do it",
    "patch /v1/files/uploads/{upload_id}": "tus clients do it",
    "delete /v1/files/uploads/{upload_id}": "tus clients do it",
    "get /v1/files/{file_id}/content": "for players; whoever uploads a file has it",
    "head /v1/files/{file_id}/content": "for players; whoever uploads a file has it",
}
NOT_SENT = {
    "get /v1/analyses/{analysis_id}/events after": "Last-Event-ID says the same",
    "post /v1/estimate stream": "ignored there",
    "post /v1/files expires_after[anchor]": "has one value, the default",
}
DIFFERENT_OPTIONS = {
    "AnalysisRequest.stop": "one text stands for a list of one",
    "AnalysisRequest.response_format": "JSON schemas are open-ended; the type is OpenAI's",
    "AnalysisRequest.chunk_response_format": "JSON schemas are open-ended; the type is OpenAI's",
}
NAMED_PARAMETERS = {"prompt", "stream", "video_url", "video_path", "file_id"}
"""Fields that are no options: `prompt` and `video` are parameters of their own, `stream` a method."""
DIFFERENT_RESULTS = {
    "FailureBody.param": "one type for all failures; those of a chunk blame no field",
    "AnalysisSummaryBody.plan": "one type for a stored analysis; lists leave this out",
    "AnalysisSummaryBody.chunk_results": "one type for a stored analysis; lists leave this out",
    "AnalysisSummaryBody.result": "one type for a stored analysis; lists leave this out",
}

URL, FILE_ID, ANALYSIS_ID = "https://example.com/cat.mp4", "file-" + "0" * 32, "analysis-" + "0" * 32


@pytest.fixture(scope="module")
def document() -> Schema:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # FastAPI's, about names of operations
        document: Schema = build_http_app().openapi()
    return document


@pytest.fixture(scope="module")
def comparison(document: Schema) -> Comparison:
    return Comparison(document)


def operations(document: Schema) -> Iterator[tuple[str, Schema]]:
    """`method path` of each operation that the client is for, and its description."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if TAGS & set(operation.get("tags", ())):
                yield f"{method} {path}", operation


# --- Requests ---------------------------------------------------------------------------------------------------------


def every(options: type) -> dict[str, Any]:
    """A value for each option."""
    return dict.fromkeys(typing.get_type_hints(options), 1)


def calls(film: Path) -> tuple[Callable[[Longtake], object], ...]:
    """All that the client can ask of a server, with every parameter."""
    analysis_options, submit_options = every(AnalysisOptions), every(SubmitOptions)
    return (
        lambda client: client.analyze(URL, "?", **analysis_options),
        lambda client: client.analyze(FILE_ID, "?"),
        lambda client: client.analyze(ServerPath("cat.mp4"), "?"),
        lambda client: client.analyze(film, "?", **analysis_options),
        lambda client: list(client.stream(URL, "?", **analysis_options)),
        lambda client: client.submit(URL, "?", idempotency_key="once", **submit_options),
        lambda client: client.estimate(URL, "?", **analysis_options),
        lambda client: client.estimate(FILE_ID),
        lambda client: client.estimate(ServerPath("cat.mp4")),
        lambda client: client.estimate(film),
        lambda client: list(client.analyses(status="failed")),
        lambda client: client.analysis(ANALYSIS_ID).status(),
        lambda client: client.analysis(ANALYSIS_ID).export("srt"),
        lambda client: client.analysis(ANALYSIS_ID).delete(),
        lambda client: list(client.analysis(ANALYSIS_ID).events(after="7")),
        lambda client: client.files.upload(film, purpose="vision", expires_after_seconds=60),
        lambda client: client.files.get(FILE_ID),
        lambda client: client.files.delete(FILE_ID),
        lambda client: list(client.files.list(order="asc", purpose="vision")),
    )


@dataclass
class Recorder:
    """A server that notes what it is asked, and refuses it, but for the first page of a list."""

    sent: dict[str, set[str]]
    """By `method path`: names of parameters, headers and fields."""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.replace(ANALYSIS_ID, "{analysis_id}").replace(FILE_ID, "{file_id}")
        names = self.sent.setdefault(f"{request.method.lower()} {path}", set())
        names.update(request.url.params)
        names.update({"idempotency-key", "last-event-id"} & request.headers.keys())
        content = request.read()
        if request.headers.get("content-type") == "application/json":
            names.update(json.loads(content))
        else:
            names.update(re.findall(r'form-data; name="([^"]+)"', content.decode()))
        if "limit" in request.url.params and "after" not in request.url.params:
            return httpx.Response(200, json={"data": [], "has_more": True, "last_id": "last"})
        return httpx.Response(400, json={})


@pytest.fixture
def sent(tmp_path: Path) -> dict[str, set[str]]:
    film = tmp_path / "cat.mp4"
    film.write_bytes(b"\0" * 100)
    recorder = Recorder({})
    with Longtake("http://example.com", transport=httpx.MockTransport(recorder)) as client:
        for call in calls(film):
            with pytest.raises(ServerError):
                call(client)
    return recorder.sent


def test_every_operation_is_called(sent: dict[str, set[str]], document: Schema) -> None:
    offered = {name for name, _ in operations(document)}
    assert offered - sent.keys() == NOT_CALLED.keys()
    assert sent.keys() <= offered


def test_every_parameter_and_field_is_sent(sent: dict[str, set[str]], document: Schema, comparison: Comparison) -> None:
    not_sent, unknown = set(), set()
    for name, operation in operations(document):
        if name in NOT_CALLED:
            continue
        accepted = {parameter["name"] for parameter in operation.get("parameters", ()) if parameter["in"] != "path"}
        accepted |= body_fields(operation, comparison)
        not_sent |= {f"{name} {field}" for field in accepted - sent[name]}
        unknown |= {f"{name} {field}" for field in sent[name] - accepted}
    assert not_sent == NOT_SENT.keys()
    # Types say which options go with which method; types alone keep `metadata` out of `estimate`.
    assert unknown == set()


def body_fields(operation: Schema, comparison: Comparison) -> set[str]:
    names: set[str] = set()
    for body in operation.get("requestBody", {}).get("content", {}).values():
        for part in body["schema"].get("allOf", [body["schema"]]):
            names |= comparison.resolved(part)["properties"].keys()
    return names


def test_options_have_the_servers_types(document: Schema, comparison: Comparison) -> None:
    schema = document["components"]["schemas"]["AnalysisRequest"]
    differences = list(comparison.of_options(schema, SubmitOptions))
    different = {difference.where for difference in differences}
    assert different == DIFFERENT_OPTIONS.keys() | {f"AnalysisRequest.{name}" for name in NAMED_PARAMETERS}, differences


def test_parameters_have_the_servers_choices(document: Schema, comparison: Comparison) -> None:
    choices = {
        ("/v1/analyses", "status"): Status,
        ("/v1/files", "order"): Order,
        ("/v1/analyses/{analysis_id}/export", "format"): ExportFormat,
    }
    for (path, name), kind in choices.items():
        (parameter,) = [found for found in document["paths"][path]["get"]["parameters"] if found["name"] == name]
        assert not list(comparison.of_options(parameter["schema"], kind)), name
    purpose = document["components"]["schemas"]["FileFields"]["properties"]["purpose"]
    assert not list(comparison.of_options(purpose, Purpose))


@pytest.mark.parametrize(
    ("method", "options"),
    [
        (Longtake.analyze, "AnalysisOptions"),
        (Longtake.stream, "AnalysisOptions"),
        (Longtake.estimate, "AnalysisOptions"),
        (Longtake.submit, "SubmitOptions"),
    ],
)
def test_methods_take_the_options(method: Callable[..., object], options: str) -> None:
    parameters = inspect.signature(method).parameters
    assert parameters["options"].annotation == f"Unpack[{options}]"
    assert {"video", "prompt"} <= parameters.keys()


# --- Results ----------------------------------------------------------------------------------------------------------


def test_results_have_the_servers_fields_and_types(document: Schema, comparison: Comparison) -> None:
    schemas = document["components"]["schemas"]
    results = {
        "AnalysisBody": Answer,
        "EstimateBody": Estimate,
        "AnalysisSummaryBody": AnalysisState,
        "AnalysisObjectBody": AnalysisState,
        "FileBody": File,
    }
    differences = [
        difference for name, kind in results.items() for difference in comparison.of_result(schemas[name], kind)
    ]
    assert {difference.where for difference in differences} == DIFFERENT_RESULTS.keys(), [*map(str, differences)]


def test_every_response_is_among_the_results(document: Schema, comparison: Comparison) -> None:
    """So that a route with a new body cannot pass the test above by."""
    titles = set()
    for name, operation in operations(document):
        if name not in NOT_CALLED:
            for status in {"200", "202"} & operation["responses"].keys():
                schema = operation["responses"][status].get("content", {}).get("application/json", {}).get("schema")
                choices = schema.get("anyOf", [schema]) if schema else []
                titles |= {comparison.resolved(choice)["title"] for choice in choices}
    lists = {"AnalysisListBody", "FileListBody"}
    nothing_returned = {"DeletedAnalysisBody", "DeletedFileBody"}
    assert titles - lists - nothing_returned == {"AnalysisBody", "EstimateBody", "AnalysisObjectBody", "FileBody"}
    items = {
        comparison.resolved(document["components"]["schemas"][name]["properties"]["data"]["items"])["title"]
        for name in lists
    }
    assert items == {"AnalysisSummaryBody", "FileBody"}


def test_errors_have_the_servers_fields(document: Schema) -> None:
    fields = document["components"]["schemas"]["ErrorDetail"]["properties"].keys()
    error = ServerError.of({"error": {name: name for name in fields}}, 400)
    assert {name: getattr(error, name, None) for name in fields - {"message"}} == {
        name: name for name in fields - {"message"}
    }
    assert str(error) == "message"


# --- Events -----------------------------------------------------------------------------------------------------------


def test_every_event_has_a_type() -> None:
    assert {name.value for name in EventName} == EVENT_TYPES.keys() | {ERROR}


def test_events_have_the_servers_fields() -> None:
    """Plans, chunks and answers are results, compared above."""
    for is_merging in (False, True):
        name, body = EVENT_BODIES.of(Progress(1, 2, merging=is_merging))
        progress = event_of(name, json.dumps(body), "", 200)
        assert isinstance(progress, ProgressEvent)
        assert body.keys() == {"stage", "chunks_done", "num_chunks"}
        assert (progress.chunks_done, progress.num_chunks, progress.is_merging) == (1, 2, is_merging)
    name, body = EVENT_BODIES.of(AnswerDelta("A cat."))
    delta = event_of(name, json.dumps(body), "", 200)
    assert isinstance(delta, DeltaEvent)
    assert (body, delta.text) == ({"text": "A cat."}, "A cat.")
