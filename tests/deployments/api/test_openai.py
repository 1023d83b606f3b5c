"""OpenAI's dialect at the HTTP level. tests/graph runs the official client against the whole graph."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from deployments.model_choice import DEMO_NOTICE
from pipeline import errors
from tests.deployments.api.chat_requests import ASKED, ROUTE
from tests.deployments.api.fakes import MODEL_LEN, FakeOrchestrator
from tests.deployments.api.wire import error_of


def test_what_is_wrong_with_the_video_is_no_stream(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    orchestrator.events = (errors.SourceNotFound("No such video.", param="video_url"),)
    assert error_of(client.post(ROUTE, json=ASKED | {"stream": True}), 404)["type"] == "source_not_found"


@pytest.mark.parametrize("path", ["responses", "completions", "embeddings", "uploads", "batches"])
def test_what_is_not_here_is_told_with_what_is(path: str, client: TestClient) -> None:
    response = client.post(f"/v1/{path}", json={})
    assert response.json()["error"].keys() == {"type", "message", "param", "code"}
    error = error_of(response, 404)
    assert error["type"] == "not_found"
    assert "/v1/" in error["message"].removeprefix(f"POST /v1/{path}")


def test_another_model_is_not_served(client: TestClient) -> None:
    response = client.post(ROUTE, json=ASKED | {"model": "gpt-4o"})
    assert response.json()["error"]["code"] == "model_not_found"
    assert error_of(response, 404) == {
        "type": "unknown_model",
        "message": "The model is 'gpt-4o'; 'longtake-demo', 'sports' are those served here.",
        "param": "model",
    }


@pytest.mark.parametrize(("name", "adapter"), [("longtake-demo", None), ("sports", "sports")])
def test_an_adapter_is_asked_for_as_a_model(
    name: str, adapter: str | None, client: TestClient, orchestrator: FakeOrchestrator
) -> None:
    body = client.post(ROUTE, json=ASKED | {"model": name}).json()
    assert body["model"] == name
    (job,) = orchestrator.jobs
    assert (job.token_sampling.adapter, job.chunk_token_sampling.adapter) == (adapter, adapter)


# --- Models, files, health --------------------------------------------------------------------------------------------


def test_models(client: TestClient) -> None:
    listed = client.get("/v1/models").json()
    assert listed["object"] == "list"
    assert [client.get(f"/v1/models/{model['id']}").json() for model in listed["data"]] == listed["data"]
    assert all(isinstance(model.pop("created"), int) for model in listed["data"])
    common = {"object": "model", "owned_by": "longtake", "max_model_len": MODEL_LEN, "notice": DEMO_NOTICE}
    assert listed["data"] == [
        {"id": "longtake-demo", "parent": None, **common},
        {"id": "sports", "parent": "longtake-demo", **common},
    ]
    assert error_of(client.get("/v1/models/Qwen/Qwen3-VL"), 404)["type"] == "unknown_model"
