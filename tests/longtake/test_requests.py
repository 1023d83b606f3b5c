"""Requests as values, and their arguments for httpx."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest

from longtake import ServerError, ServerUnreachable
from longtake.requests import (
    SERVER_VARIABLE,
    Request,
    Upload,
    base_url_of,
    check,
    client_arguments,
    unreachable_errors,
)


def test_what_is_none_is_not_sent() -> None:
    request = Request("POST", "/x", params={"a": 1, "b": None}, headers={"C": None}, fields={"d": 0, "e": None})
    with request.opened() as arguments:
        assert arguments == {"method": "POST", "url": "/x", "params": {"a": 1}, "headers": {}, "json": {"d": 0}}
    with Request("GET", "/x").opened() as arguments:
        assert "json" not in arguments


def test_a_form_has_texts_beside_its_file(tmp_path: Path) -> None:
    path = tmp_path / "cat.mp4"
    path.write_bytes(b"cat")
    upload = Upload("video", path)
    with Request("POST", "/x", fields={"prompt": "?", "stop": ["a"], "fps": None}, upload=upload).opened() as arguments:
        assert arguments["data"] == {"prompt": "?", "stop": '["a"]'}
        name, file = arguments["files"]["video"]
        assert (name, file.read()) == ("cat.mp4", b"cat")
    assert file.closed


def test_reading_reports_progress(tmp_path: Path) -> None:
    path = tmp_path / "cat.mp4"
    path.write_bytes(os.urandom(5))
    progress: list[tuple[int, int]] = []
    upload = Upload("file", path, lambda sent, total: progress.append((sent, total)))
    with Request("POST", "/x", upload=upload).opened() as arguments:
        _, file = arguments["files"]["file"]
        assert file.seek(0) == 0 and file.tell() == 0 and file.fileno() > 2
        file.read(2)
        file.read()
    assert progress == [(2, 5), (5, 5)]


def test_a_missing_file_names_the_field(tmp_path: Path) -> None:
    request = Request("POST", "/x", upload=Upload("video", tmp_path / "no.mp4"))
    with (
        pytest.raises(ServerError, match=r"Cannot read .*no\.mp4: No such file.*Give a file") as caught,
        request.opened(),
    ):
        pass
    assert (caught.value.type, caught.value.param) == ("source_not_found", "video")


def test_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SERVER_VARIABLE, raising=False)
    assert base_url_of(None) == "http://127.0.0.1:8000"
    monkeypatch.setenv(SERVER_VARIABLE, "http://example.com:1/")
    assert base_url_of(None) == "http://example.com:1"
    assert base_url_of("http://other:2/") == "http://other:2"


def test_only_connecting_times_out() -> None:
    timeout: httpx.Timeout = client_arguments("http://a", None)["timeout"]
    assert (timeout.connect, timeout.read, timeout.write, timeout.pool) == (10.0, None, None, None)
    assert client_arguments("http://a", "key")["headers"] == {"Authorization": "Bearer key"}


def test_transport_errors_are_translated() -> None:
    for error in (httpx.ConnectError("refused"), httpx.ReadError(""), httpx.RemoteProtocolError("cut")):
        with pytest.raises(ServerUnreachable, match=str(error) or "ReadError"), unreachable_errors("http://a"):
            raise error


def test_error_responses_are_raised() -> None:
    check(httpx.Response(202))
    body = {"error": {"type": "engine_busy", "message": "Try later.", "param": None}}
    with pytest.raises(ServerError, match="Try later") as caught:
        check(httpx.Response(429, json=body))
    assert (caught.value.status, caught.value.type) == (429, "engine_busy")
    with pytest.raises(ServerError, match="502, but not like a Longtake server"):
        check(httpx.Response(502, text="<html>"))
