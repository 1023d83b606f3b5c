"""Request bodies: JSON and forms, within the limits."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.deployments.api.native_requests import ROUTE, VIDEO_BYTES
from tests.deployments.api.wire import error_of


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "The body is not JSON"),
        (b"{", "The body is not JSON"),
        (b"\xff\xfe", "The body is not JSON"),
        (b"[1]", "The body is a JSON list; send an object"),
        (b'"prompt"', "The body is a JSON str; send an object"),
    ],
)
def test_a_body_that_is_no_object(body: bytes, words: str, client: TestClient) -> None:
    error = error_of(client.post(ROUTE, content=body), 400)
    assert error["type"] == "invalid_request"
    assert words in error["message"]


def test_a_deeply_nested_body_is_refused(client: TestClient) -> None:
    error_of(client.post(ROUTE, content=b'{"prompt": ' + b"[" * 100_000), 400)


@pytest.mark.parametrize("route", [ROUTE, "/v1/chat/completions", "/run", "/runsync"])
@pytest.mark.parametrize(
    "field",
    ["prompt", "stop", "metadata", "webhook", "seed", "messages", "input", "video_url", "response_format", "unknown"],
)
@pytest.mark.parametrize("depth", [150, 250])
def test_no_field_can_be_nested_deeply(depth: int, field: str, route: str, client: TestClient) -> None:
    for value in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
        body = f'{{"{field}": {value}}}'
        for sent in (body, f'{{"input": {body}}}'):
            assert client.post(route, content=sent).status_code == 400


@pytest.mark.parametrize("content_type", ["multipart/form-data", "multipart/form-data; boundary=y"])
def test_a_form_that_is_none(content_type: str, client: TestClient) -> None:
    response = client.post(ROUTE, content=b"--x\r\nnot a form", headers={"content-type": content_type})
    assert error_of(response, 400)["type"] == "invalid_request"


def test_two_files_are_refused(client: TestClient, uploads: Path) -> None:
    files = [("video", ("a.mp4", VIDEO_BYTES)), ("video2", ("b.mp4", VIDEO_BYTES))]
    error_of(client.post(ROUTE, data={"prompt": "What?"}, files=files), 400)
    assert list(uploads.iterdir()) == []


def blocks(count: int) -> Iterator[bytes]:
    """A body without a Content-Length."""
    for _ in range(count):
        yield b" " * 2**16


def test_a_json_body_that_is_too_large(client: TestClient) -> None:
    for content in (b" " * 2**22, blocks(64)):
        error = error_of(client.post(ROUTE, content=content), 413)
        assert error["type"] == "source_too_large"
        assert "upload them to /v1/files" in error["message"]


def test_a_file_that_is_too_large(client: TestClient, uploads: Path) -> None:
    response = client.post(ROUTE, data={"prompt": "What?"}, files={"video": ("a.mp4", b"x" * 2**23)})
    assert error_of(response, 413)["type"] == "source_too_large"
    assert list(uploads.iterdir()) == []


def test_an_upload_that_hides_its_length_is_cut_off_at_the_limit(client: TestClient, uploads: Path) -> None:
    received = 0

    def endless() -> Iterator[bytes]:
        nonlocal received
        yield b'--x\r\nContent-Disposition: form-data; name="video"; filename="a.mp4"\r\n\r\n'
        for _ in range(100):
            received += 1024**2
            yield bytes(1024**2)

    headers = {"content-type": "multipart/form-data; boundary=x"}
    response = client.post(ROUTE, content=endless(), headers=headers)
    assert error_of(response, 413)["type"] == "source_too_large"
    assert list(uploads.iterdir()) == []
