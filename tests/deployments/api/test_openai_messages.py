"""Messages of the chat: the question, the conversation before it, and its one video."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import av
import pytest
from fastapi.testclient import TestClient
from openai.types.chat import ChatCompletionMessage

from pipeline.answers.prompting import follow_up
from pipeline.types import Exchange, HttpUrl, HttpVideo, Prompt
from tests.deployments.api.chat_requests import ANSWER, ASKED, MORE, ROUTE, TEXT_PART, USER, VIDEO_PART, frame_part
from tests.deployments.api.fakes import FakeOrchestrator
from tests.deployments.api.wire import error_of


def test_messages(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "In French."}]},
        {"role": "user", "content": [TEXT_PART, VIDEO_PART, {"type": "text", "text": "And why?"}], "name": "ann"},
    ]
    assert client.post(ROUTE, json=ASKED | {"messages": messages}).status_code == 200
    (job,) = orchestrator.jobs
    assert job.prompt == Prompt("What happens?\nAnd why?", "Be brief.\nIn French.")
    assert job.source == HttpVideo(HttpUrl.parse("https://example.com/cat.mp4"))


def test_a_conversation(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    """What was said before comes with the question; the video is the one of before."""
    messages = [{"role": "system", "content": "Be brief."}, USER, ANSWER, MORE]
    assert client.post(ROUTE, json=ASKED | {"messages": messages}).status_code == 200
    (job,) = orchestrator.jobs
    assert job.source == HttpVideo(HttpUrl.parse("https://example.com/cat.mp4"))
    assert job.prompt == Prompt(follow_up("And then?", [Exchange("What happens?", "A cat sits.")]), "Be brief.")


def test_the_video_may_stand_in_each_message(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    again = {"role": "user", "content": [VIDEO_PART, {"type": "text", "text": "And then?"}]}
    assert client.post(ROUTE, json=ASKED | {"messages": [USER, ANSWER, again]}).status_code == 200
    assert orchestrator.jobs[0].source == HttpVideo(HttpUrl.parse("https://example.com/cat.mp4"))


def test_the_clients_own_answers_may_be_sent_back(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    echoed = ChatCompletionMessage(role="assistant", content="A cat sits.").model_dump()
    assert client.post(ROUTE, json=ASKED | {"messages": [USER, echoed, MORE]}).status_code == 200
    assert "A cat sits." in orchestrator.jobs[0].prompt.text


@pytest.mark.parametrize(
    "messages",
    [
        [{"role": "user", "content": [VIDEO_PART]}, {"role": "user", "content": "What happens?"}],
        [{"role": "user", "content": "What happens?"}, {"role": "user", "content": [VIDEO_PART]}],
    ],
)
def test_messages_in_a_row_are_one(messages: list[object], client: TestClient, orchestrator: FakeOrchestrator) -> None:
    assert client.post(ROUTE, json=ASKED | {"messages": messages}).status_code == 200
    assert orchestrator.jobs[0].prompt == Prompt("What happens?")


def test_images_are_the_frames_of_a_video(client: TestClient, orchestrator: FakeOrchestrator, uploads: Path) -> None:
    content = [TEXT_PART, *[frame_part()] * 3]
    response = client.post(ROUTE, json=ASKED | {"messages": [USER | {"content": content}], "sample_fps": 4})
    assert response.status_code == 200, response.text
    with av.open(io.BytesIO(orchestrator.uploaded[0])) as container:
        assert container.streams.video[0].frames == 3
        assert float(container.streams.video[0].average_rate or 0) == 4
    assert list(uploads.iterdir()) == []


def test_the_bytes_of_a_file_in_its_part(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    data = "data:video/mp4;base64," + base64.b64encode(b"video").decode()
    part = {"type": "file", "file": {"file_data": data, "filename": "cat.mp4"}}
    assert client.post(ROUTE, json=ASKED | {"messages": [USER | {"content": [part, TEXT_PART]}]}).status_code == 200
    assert orchestrator.uploaded == [b"video"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("What happens?", "contain no video and video_path is not given; give one"),
        ([TEXT_PART], "contain no video and video_path is not given; give one"),
        ([VIDEO_PART, {"type": "file", "file": {"file_id": "file-1"}}, TEXT_PART], "contain 2 videos; give one"),
        ([VIDEO_PART, frame_part(), TEXT_PART], "contain 2 videos; give one"),
    ],
)
def test_one_video_is_needed(content: object, words: str, client: TestClient) -> None:
    error = error_of(client.post(ROUTE, json=ASKED | {"messages": [USER | {"content": content}]}), 400)
    assert error["param"] == "messages"
    assert words in error["message"]


@pytest.mark.parametrize(
    ("messages", "param", "words"),
    [
        ([], "messages", "at least 1 item"),
        ([{"role": "system", "content": "Be brief."}], "messages", "contains no user message; send one"),
        ([{"role": "assistant", "content": "Yes?"}, USER], "messages", "begin with the user's"),
        ([USER, {"role": "assistant", "content": "A cat sits."}], "messages", "end with the user's question"),
        ([USER, {"role": "tool", "content": "5", "tool_call_id": "a"}, USER], "messages.1", "'user', 'assistant'"),
        ([USER, ANSWER | {"tool_calls": [{"id": "a"}]}, USER], "messages.1.tool_calls", "at most 0 items"),
        (
            [USER | {"content": [VIDEO_PART, {"type": "text", "text": "<|im_end|>"}]}, ANSWER, MORE],
            "messages",
            "control",
        ),
        ([USER, ANSWER, MORE | {"content": " "}], "messages", "messages is empty"),
        ([{"role": "system", "content": "<|im_end|>"}, USER], "messages", "control token"),
        ([USER | {"content": [VIDEO_PART]}], "prompt", "prompt is empty"),
    ],
)
def test_messages_that_are_refused(messages: list[object], param: str, words: str, client: TestClient) -> None:
    error = error_of(client.post(ROUTE, json=ASKED | {"messages": messages}), 400)
    assert error["param"] == param
    assert words in error["message"]


@pytest.mark.parametrize(
    ("part", "param", "words"),
    [
        ({"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}, "messages", "as a video_url part"),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
            "messages.0.content.0.image_url.detail",
            "'auto'",
        ),
        (
            {"type": "video_url", "video_url": {"url": "https://example.com/cat.mp4", "detail": "high"}},
            "messages.0.content.0.video_url.detail",
            "not a field",
        ),
        ({"type": "file", "file": {"file_data": "AAAA"}}, "messages", "not a data URL"),
        ({"type": "file", "file": {"filename": "cat.mp4"}}, "messages", "give one of them"),
        ({"type": "text"}, "messages.0.content.0.text", "missing"),
        ({"type": "input_audio", "input_audio": {}}, "messages.0.content.0", "'video_url'"),
        ("What happens?", "messages.0.content.0", "dictionary"),
    ],
)
def test_a_part_that_is_not_known_is_refused(part: object, param: str, words: str, client: TestClient) -> None:
    response = client.post(ROUTE, json=ASKED | {"messages": [USER | {"content": [part, TEXT_PART]}]})
    error = error_of(response, 400)
    assert error["param"] == param
    assert words in error["message"]
