"""OpenAI's dialect, by the official client."""

from __future__ import annotations

import base64
import io
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import openai
import pytest

OPTIONS = {"max_tokens": 12, "temperature": 0.0, "seed": 1}


@pytest.fixture(scope="module")
def openai_client(server: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server}/v1", api_key="none", max_retries=0) as client:
        yield client


def messages(url: str, text: str = "What happens?") -> list[Any]:
    video = {"type": "video_url", "video_url": {"url": url}}
    return [{"role": "user", "content": [video, {"type": "text", "text": text}]}]


def test_models(openai_client: openai.OpenAI) -> None:
    (model,) = openai_client.models.list().data
    assert model.id == "longtake-demo"
    assert openai_client.models.retrieve(model.id).id == model.id
    with pytest.raises(openai.NotFoundError):
        openai_client.models.retrieve("gpt-4o")


def test_a_completion(openai_client: openai.OpenAI, web: str) -> None:
    completion = openai_client.chat.completions.create(
        model="longtake-demo",
        messages=[{"role": "system", "content": "Be brief."}, *messages(f"{web}/minutes.mp4")],
        extra_body={"chunk_duration": 30, "fps": 1, "video_end": 60},
        **OPTIONS,
    )
    (choice,) = completion.choices
    assert choice.message.role == "assistant"
    assert isinstance(choice.message.content, str)
    assert choice.finish_reason in ("stop", "length")
    assert completion.usage is not None and completion.usage.completion_tokens > 0
    extra = completion.model_extra or {}
    assert extra["longtake"]["num_chunks"] == 3
    assert extra["longtake"]["coverage"]["uncovered"] == []


@pytest.mark.parametrize("options", [{}, {"chunk_duration": 2.0, "chunk_overlap": 0.0}], ids=["one chunk", "several"])
def test_a_stream_says_what_the_whole_says(openai_client: openai.OpenAI, web: str, options: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {
        "model": "longtake-demo",
        "messages": messages(f"{web}/short.mp4"),
        **OPTIONS,
    }
    # What either finds in a cache would be told in its usage.
    whole = openai_client.chat.completions.create(**arguments, extra_body=options | {"cache_salt": "whole"})
    chunks = list(
        openai_client.chat.completions.create(
            **arguments,
            extra_body=options | {"cache_salt": "stream"},
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage == whole.usage
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] in ("stop", "length")
    (longtake,) = [chunk.model_extra["longtake"] for chunk in chunks if "longtake" in (chunk.model_extra or {})]
    assert longtake["partial"] is False


@pytest.mark.parametrize("options", [{"chunk_duration": 60}, {"chunk_duration": 20}], ids=["one chunk", "several"])
def test_a_follow_up_finds_the_frames_of_before(
    openai_client: openai.OpenAI, web: str, options: dict[str, Any]
) -> None:
    part = {"video_end": 40, "cache_salt": f"follow up {options}"}
    arguments: dict[str, Any] = {"model": "longtake-demo", **OPTIONS, "extra_body": options | part}
    asked = messages(f"{web}/minutes.mp4")
    first = openai_client.chat.completions.create(messages=asked, **arguments)
    asked += [first.choices[0].message.model_dump(), {"role": "user", "content": "And then?"}]
    second = openai_client.chat.completions.create(messages=asked, **arguments)
    of_first, of_second = ((answer.model_extra or {})["longtake"]["chunk_results"] for answer in (first, second))
    assert not any(result["decode_reused"] for result in of_first)
    assert all(result["success"] and result["decode_reused"] for result in of_second)
    assert all(result["cached_tokens"] > result["prompt_tokens"] - 300 for result in of_second)  # blocks of 128 tokens
    assert of_second[0]["cached_tokens"] > of_second[0]["prompt_tokens"] / 2
    assert [result["start_time"] for result in of_second] == [result["start_time"] for result in of_first]
    assert of_second[0]["prompt_tokens"] > of_first[0]["prompt_tokens"]


def test_frames_as_images(openai_client: openai.OpenAI, media: Path) -> None:
    with av.open(media / "short.mp4") as container:
        images = [frame.to_image() for frame in itertools.islice(container.decode(video=0), 4)]
    content: list[Any] = [{"type": "text", "text": "What happens?"}]
    for image in images:
        jpeg = io.BytesIO()
        image.save(jpeg, "JPEG")
        url = f"data:image/jpeg;base64,{base64.b64encode(jpeg.getvalue()).decode()}"
        content.append({"type": "image_url", "image_url": {"url": url}})
    completion = openai_client.chat.completions.create(
        model="longtake-demo", messages=[{"role": "user", "content": content}], **OPTIONS, extra_body={"sample_fps": 2}
    )
    assert (completion.model_extra or {})["longtake"]["coverage"]["frames_used"] == 4


def test_an_uploaded_file(openai_client: openai.OpenAI, media: Path) -> None:
    stored = openai_client.files.create(file=media / "short.mp4", purpose="vision")
    part = {"type": "file", "file": {"file_id": stored.id}}
    completion = openai_client.chat.completions.create(
        model="longtake-demo",
        messages=[{"role": "user", "content": [part, {"type": "text", "text": "What happens?"}]}],  # type: ignore[list-item]
        **OPTIONS,
    )
    assert completion.choices[0].message.content is not None
    openai_client.files.delete(stored.id)


@pytest.mark.parametrize(
    ("changes", "param", "words"),
    [
        ({"model": "gpt-4o"}, "model", "longtake-demo"),
        ({"messages": [{"role": "user", "content": "Hello"}]}, "messages", "contain no video"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools", "response_format"),
        ({"n": 2}, "n", "1"),
        ({"extra_body": {"chunk_size": 3}}, "chunk_size", "chunk_duration"),
        ({"temperature": -1}, "temperature", "greater than or equal to 0"),
    ],
)
def test_what_cannot_be_done_is_said(
    openai_client: openai.OpenAI, web: str, changes: dict[str, Any], param: str, words: str
) -> None:
    arguments = {"model": "longtake-demo", "messages": messages(f"{web}/short.mp4"), **OPTIONS} | changes
    with pytest.raises(openai.APIStatusError) as caught:
        openai_client.chat.completions.create(**arguments)
    assert 400 <= caught.value.status_code < 500
    body = caught.value.body
    assert isinstance(body, dict)
    assert body["param"] == param
    assert words in body["message"]
