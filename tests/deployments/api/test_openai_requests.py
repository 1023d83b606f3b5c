"""Chat completion requests: OpenAI's fields, Longtake's own, and unsupported ones."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import av
import pytest
from fastapi.testclient import TestClient

from deployments.api.openai_requests import ChatCompletionRequest
from pipeline.types import LocalVideo, Prompt, StoredVideo
from tests.deployments.api.chat_requests import ASKED, ROUTE, TEXT_PART, USER
from tests.deployments.api.fakes import FakeOrchestrator
from tests.deployments.api.native_requests import tiny_jpeg
from tests.deployments.api.wire import error_of, frame_list


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
        ("web_search_options", {"search_context_size": "low"}, "does not search the web"),
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
