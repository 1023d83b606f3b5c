"""OpenAI's dialect, on the wire. The official client is put before the whole graph in tests/graph."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import av
import pytest
from fastapi.testclient import TestClient

from deployments.api.openai import ChatCompletionRequest
from deployments.model_choice import DEMO_NOTICE
from pipeline import errors
from pipeline.analysis import AnswerDelta, PlanReady
from pipeline.types import LocalVideo, Prompt, StoredVideo
from tests.deployments.api.chat_requests import ASKED, ROUTE, TEXT_PART, USER
from tests.deployments.api.fakes import ANSWERED, FAILED, MODEL_LEN, PLAN, WHOLE, FakeOrchestrator, done
from tests.deployments.api.native_requests import tiny_jpeg
from tests.deployments.api.result_bodies import ANALYSIS, VIDEO_METADATA
from tests.deployments.api.wire import check_discreet, error_of, events_of, frame_list

USAGE = {
    "prompt_tokens": 150,
    "completion_tokens": 20,
    "total_tokens": 170,
    "prompt_tokens_details": {"cached_tokens": 0},
}
NOT_IN_LONGTAKE = ("model", "aggregated_response", "usage", "logprobs")
IN_LONGTAKE = {name: value for name, value in ANALYSIS.items() if name not in NOT_IN_LONGTAKE}


def pieces_of(text: str) -> list[dict[str, Any]]:
    """The chunks of a streamed completion, whose end is checked."""
    *events, end = events_of(text)
    assert end == (None, "[DONE]")
    assert all(name is None for name, _ in events)
    return [data for _, data in events]


# --- Answers ----------------------------------------------------------------------------------------------------------


def test_completion_field_by_field(client: TestClient) -> None:
    response = client.post(ROUTE, json=ASKED | {"seed": 42})
    assert response.status_code == 200
    body = response.json()
    longtake = body.pop("longtake")
    assert "generated films" in longtake.pop("notice")
    assert longtake == IN_LONGTAKE
    assert body.pop("id").startswith("chatcmpl-")
    assert isinstance(body.pop("created"), int)
    assert body == {
        "object": "chat.completion",
        "model": "longtake-demo",
        "system_fingerprint": None,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "A cat sits all day.", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
    }


def test_completions_differ_in_their_id(client: TestClient) -> None:
    assert len({client.post(ROUTE, json=ASKED).json()["id"] for _ in range(3)}) == 3


def test_stream(client: TestClient) -> None:
    response = client.post(ROUTE, json=ASKED | {"seed": 42, "stream": True})
    assert response.headers["content-type"].startswith("text/event-stream")
    pieces = pieces_of(response.text)
    longtake = pieces[-1].pop("longtake")
    longtake.pop("notice")
    assert longtake == IN_LONGTAKE
    heads = {(piece.pop("id"), piece.pop("created"), piece.pop("model"), piece.pop("object")) for piece in pieces}
    assert len(heads) == 1  # one completion
    assert [piece.pop("choices") for piece in pieces] == [
        [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]
        for delta, reason in [
            ({"role": "assistant", "content": ""}, None),
            ({"content": "A cat sits "}, None),
            ({"content": "all day."}, None),
            ({}, "stop"),
        ]
    ]
    assert all(piece == {"system_fingerprint": None} for piece in pieces)


def test_video_metadata_where_it_is_asked_for(client: TestClient) -> None:
    asked = ASKED | {"include_video_metadata": True}
    whole = client.post(ROUTE, json=asked).json()["longtake"]
    streamed = pieces_of(client.post(ROUTE, json=asked | {"stream": True}).text)[-1]["longtake"]
    for longtake in (whole, streamed):
        assert [result["video_metadata"] for result in longtake["chunk_results"]] == [VIDEO_METADATA, None]


def test_usage_of_a_stream_comes_last_where_it_is_asked_for(client: TestClient) -> None:
    asked = ASKED | {"stream": True, "stream_options": {"include_usage": True}}
    *others, usage = pieces_of(client.post(ROUTE, json=asked).text)
    assert (usage["choices"], usage["usage"]) == ([], USAGE)
    assert all(piece["usage"] is None for piece in others)


def test_what_was_not_passed_on_before_comes_in_the_end(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    orchestrator.events = (PlanReady(PLAN), AnswerDelta("A cat "), done("A cat sits all day."))
    pieces = pieces_of(client.post(ROUTE, json=ASKED | {"stream": True}).text)
    contents = [piece["choices"][0]["delta"].get("content") for piece in pieces]
    assert contents == ["", "A cat ", "sits all day.", None]


def test_without_a_merge_the_parts_are_the_answer(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    orchestrator.events = (PlanReady(PLAN), done(None))
    whole = client.post(ROUTE, json=ASKED | {"aggregate": False}).json()
    assert whole["choices"][0]["message"]["content"] == "[00:00 - 01:00]\nA cat sits."
    pieces = pieces_of(client.post(ROUTE, json=ASKED | {"aggregate": False, "stream": True}).text)
    assert [piece["choices"][0]["delta"].get("content") for piece in pieces] == [
        "",
        "[00:00 - 01:00]\nA cat sits.",
        None,
    ]


def test_no_answer_at_all_is_an_error(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    orchestrator.events = (PlanReady(PLAN), done(None, chunk_answers=(FAILED,)))
    error = error_of(client.post(ROUTE, json=ASKED), 500)
    assert error["message"] == "No part of the video could be answered: No frame could be decoded."
    *_, last = pieces_of(client.post(ROUTE, json=ASKED | {"stream": True}).text)
    assert last == {"error": error | {"code": None}}


@pytest.mark.parametrize(
    ("failure", "kind"), [(errors.EngineDied("gone"), "engine_died"), (RuntimeError("/host_path"), "internal_error")]
)
def test_a_stream_that_breaks_says_so(
    failure: Exception, kind: str, client: TestClient, orchestrator: FakeOrchestrator
) -> None:
    orchestrator.events = (*WHOLE[:7], failure)
    response = client.post(ROUTE, json=ASKED | {"stream": True})
    *_, last = pieces_of(response.text)
    assert last["error"]["type"] == kind
    check_discreet(response.text)


def test_what_is_wrong_with_the_video_is_no_stream(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    orchestrator.events = (errors.SourceNotFound("No such video.", param="video_url"),)
    assert error_of(client.post(ROUTE, json=ASKED | {"stream": True}), 404)["type"] == "source_not_found"


def test_options_beside_openais(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    extra = {"max_tokens": 5, "max_completion_tokens": 77, "temperature": 0, "fps": 0.5, "chunk_duration": 20, "n": 1}
    ignored = {"user": "ann", "metadata": {"a": "b"}, "store": False}
    assert client.post(ROUTE, json=ASKED | extra | ignored).status_code == 200
    (job,) = orchestrator.jobs
    assert job.token_sampling.max_tokens == 77
    assert job.token_sampling.temperature == 0
    assert job.chunking.frame_sampling.fps == 0.5
    assert job.chunking.chunk_duration_seconds == 20


def test_a_file_that_was_uploaded(client: TestClient, orchestrator: FakeOrchestrator, uploads: Path) -> None:
    file_id = client.post("/v1/files", files={"file": ("cat.mp4", b"video")}).json()["id"]
    part = {"type": "file", "file": {"file_id": file_id}}
    assert client.post(ROUTE, json=ASKED | {"messages": [USER | {"content": [TEXT_PART, part]}]}).status_code == 200
    assert orchestrator.jobs[0].source == StoredVideo(file_id)
    assert len(list(uploads.iterdir())) == 1  # the client's own, and not a temporary one


def test_a_data_url(client: TestClient, orchestrator: FakeOrchestrator, uploads: Path) -> None:
    part = {"type": "video_url", "video_url": {"url": "data:video/mp4;base64," + base64.b64encode(b"video").decode()}}
    for stream in (False, True):
        asked = ASKED | {"messages": [USER | {"content": [part, TEXT_PART]}], "stream": stream}
        assert client.post(ROUTE, json=asked).status_code == 200
    assert orchestrator.uploaded == [b"video", b"video"]
    assert list(uploads.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "fps"),
    [
        ({}, 2.0),
        ({"sample_fps": 4}, 4.0),
        ({"media_io_kwargs": {"video": {"fps": 8, "num_frames": -1}}}, 8.0),
        ({"media_io_kwargs": {"video": {"fps": 8}}, "sample_fps": 4}, 4.0),
        ({"media_io_kwargs": {}}, 2.0),
    ],
)
def test_a_frame_list(
    options: dict[str, Any], fps: float, client: TestClient, orchestrator: FakeOrchestrator, uploads: Path
) -> None:
    part = {"type": "video_url", "video_url": {"url": frame_list(*[tiny_jpeg()] * 3)}}
    response = client.post(ROUTE, json=ASKED | {"messages": [USER | {"content": [part, TEXT_PART]}], **options})
    assert response.status_code == 200, response.text
    assert orchestrator.jobs[0].chunking.frame_sampling.takes_all
    with av.open(io.BytesIO(orchestrator.uploaded[0])) as container:
        assert container.streams.video[0].frames == 3
        assert float(container.streams.video[0].average_rate or 0) == fps
    assert list(uploads.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"fps": 8}, "sample_fps"),  # of a video it could only mean what fps means here
        ({"fps": 1000}, "media_io_kwargs.video.fps"),
        ({"num_frames": 32}, "media_io_kwargs.video.num_frames"),
        ({"frames_indices": [0, 30]}, "media_io_kwargs.video.frames_indices"),
    ],
)
def test_of_vllms_options_those_for_the_timing_of_a_list_are_taken(
    options: dict[str, Any], param: str, client: TestClient
) -> None:
    response = client.post(ROUTE, json=ASKED | {"media_io_kwargs": {"video": options}})
    assert error_of(response, 400)["param"] == param


def test_a_path_beside_a_plain_message(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    asked = ASKED | {"messages": [{"role": "user", "content": "What happens?"}], "video_path": "cat.mp4"}
    assert client.post(ROUTE, json=asked).status_code == 200
    assert orchestrator.jobs[0].source == LocalVideo("cat.mp4")
    assert orchestrator.jobs[0].prompt == Prompt("What happens?")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("n", 2, "n is 2; input should be 1"),
        ("max_completion_tokens", 0, "greater than or equal to 1"),
        ("fps", 0, "greater than 0"),
        ("temperature", 3, "less than or equal to 2"),
        ("stream_options", {"include": True}, "include is not a field"),
        ("model", None, "model is missing"),
        ("store", True, "False"),
        ("tool_choice", "required", "'none' or 'auto'"),
        ("reasoning_effort", "high", "'none'"),
        ("modalities", ["text", "audio"], "'text'"),
        ("stop", [""], "at least 1 character"),
        ("response_format", {"type": "grammar"}, "'json_schema'"),
    ],
)
def test_an_invalid_value_is_named(field: str, value: object, words: str, client: TestClient) -> None:
    error = error_of(client.post(ROUTE, json=ASKED | {field: value}), 400)
    assert (error["type"], error["param"].partition(".")[0]) == ("invalid_request", field)
    assert words in error["message"]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("tools", [{"type": "function", "function": {"name": "f"}}], "response_format"),
        ("functions", [{"name": "f"}], "response_format"),
        ("logit_bias", {"50256": -100}, "stop"),
        ("audio", {"voice": "alloy", "format": "wav"}, "text"),
        ("verbosity", "low", "max_tokens"),
        ("web_search_options", {"search_context_size": "low"}, "nothing is looked up"),
    ],
)
def test_what_is_not_honoured_is_refused(field: str, value: object, words: str, client: TestClient) -> None:
    """Rather than passed over: an answer must not look as if it had been."""
    error = error_of(client.post(ROUTE, json=ASKED | {field: value}), 400)
    assert error["param"] == field
    assert words in error["message"] and "leave it out" in error["message"]


def test_a_field_that_is_not_known_is_refused(client: TestClient) -> None:
    error = error_of(client.post(ROUTE, json=ASKED | {"fsp": None}), 400)
    assert error["param"] == "fsp"
    assert all(name in error["message"] for name in ChatCompletionRequest.model_fields)


def test_null_is_not_given(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    nulls = dict.fromkeys(["tools", "logit_bias", "stop", "seed", "max_tokens", "stream_options", "fps", "stream"])
    assert client.post(ROUTE, json=ASKED | nulls | {"functions": [], "tool_choice": "none"}).status_code == 200
    assert orchestrator.jobs[0].token_sampling.max_tokens == 512


def test_options_of_a_stream_without_one(client: TestClient) -> None:
    error = error_of(client.post(ROUTE, json=ASKED | {"stream_options": {"include_usage": True}}), 400)
    assert error["param"] == "stream_options"


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


def test_a_chunks_answer_is_not_lost_in_a_merge_that_failed(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    orchestrator.events = (PlanReady(PLAN), done(None, chunk_answers=(ANSWERED,), answer_error="No room."))
    body = client.post(ROUTE, json=ASKED).json()
    assert body["choices"][0]["message"]["content"] == "[00:00 - 01:00]\nA cat sits."
    assert body["longtake"]["aggregation_error"] == "No room."
