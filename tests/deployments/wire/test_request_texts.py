"""Texts of requests: NUL, lone surrogates and bytes that are not UTF-8 are refused wherever they stand."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import Request
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from deployments.wire.request_texts import HEADERS, check_request_line, check_texts, find_unsafe, may_hold_unsafe
from pipeline.errors import InvalidRequest
from pipeline.unicode import UNSAFE
from tests.deployments.api.native_requests import ASKED, VIDEO_BYTES
from tests.deployments.api.wire import check_discreet
from tests.hostile_texts import ANY_JSON

REFUSED = {
    "NUL": "a\x00b",
    "low surrogate": "\udcff.mp4",
    "high surrogate": "film\ud83d",
    "reversed pair": "\udfac\ud83c",
    "NUL at the end": "film.mp4\x00",
    "last surrogate, after much text": "x" * 5000 + "\udfff",
}
ALLOWED = {
    "emoji": "🎬 👩‍👩‍👧",
    "bidi controls": "\u202egpm.\u202c\u2066a\u2069",
    "replacement character": "\ufffd",
    "noncharacter": "\uffff\U0010ffff",
    "separators": "a\u2028b\u0085c\td",
    "byte order mark": "\ufeffa",
    "combining": "e\u0301\u0323",
}
refused = pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
allowed = pytest.mark.parametrize("text", ALLOWED.values(), ids=ALLOWED.keys())

VIDEO = "https://example.com/a.mp4"


def question(*parts: dict[str, Any]) -> dict[str, Any]:
    video = {"type": "video_url", "video_url": {"url": VIDEO}}
    return {"model": "longtake-demo", "messages": [{"role": "user", "content": [video, *parts]}]}


def fields_with(text: str) -> list[tuple[str, dict[str, Any], str]]:
    """(route, body, the field that is at fault), for every dialect and depth."""
    asked = {"prompt": "What?", "video_url": VIDEO}
    part = {"type": "text", "text": text}
    return [
        ("/v1/analyses", {"prompt": "What?", "video_path": text}, "video_path"),
        ("/v1/analyses", asked | {"prompt": text}, "prompt"),
        ("/v1/analyses", asked | {"video_url": f"{VIDEO}?{text}"}, "video_url"),
        ("/v1/analyses", {"prompt": "What?", "file_id": text}, "file_id"),
        ("/v1/analyses", asked | {"model": text}, "model"),
        ("/v1/analyses", asked | {"cache_salt": text}, "cache_salt"),
        ("/v1/analyses", asked | {"stop": ["END", text]}, "stop.1"),
        ("/v1/analyses?wait=false", {"prompt": "What?", "video_path": text}, "video_path"),
        ("/v1/analyses?wait=false", asked | {"metadata": {"who": text}}, "metadata.who"),
        ("/v1/analyses?wait=false", asked | {"webhook": {"url": f"https://a.example/{text}"}}, "webhook.url"),
        ("/v1/estimate", {"video_path": text}, "video_path"),
        ("/v1/estimate", {"video_url": VIDEO, "prompt": text}, "prompt"),
        ("/v1/chat/completions", question(part), "messages.0.content.1.text"),
        ("/v1/chat/completions", question() | {"video_path": text}, "video_path"),
        ("/v1/chat/completions", question() | {"model": text}, "model"),
        ("/v1/chat/completions", question() | {"user": text}, "user"),
        ("/v1/chat/completions", question() | {"metadata": {"who": text}}, "metadata.who"),
        ("/v1/chat/completions", question() | {"tools": [{"name": text}]}, "tools.0.name"),
        ("/run", {"input": {"prompt": "What?", "video_path": text}}, "input.video_path"),
        ("/v2/mine/run", {"input": asked | {"metadata": {"who": text}}}, "input.metadata.who"),
        ("/runsync", {"input": asked | {"prompt": text}}, "input.prompt"),
    ]


def fault_in(response: Any, status: int = 400) -> dict[str, Any]:
    """The error, in whichever dialect."""
    assert response.status_code == status, response.text
    response.content.decode()
    check_discreet(response.text)
    body = response.json()
    error: dict[str, Any] = body["error"] if isinstance(body["error"], dict) else body
    assert error["type"] == "invalid_request"
    return error


@refused
def test_every_field_of_json_is_checked(client: TestClient, text: str) -> None:
    for route, body, param in fields_with(text):
        error = fault_in(client.post(route, content=json.dumps(body)))
        assert error["param"] == param, route
    assert client.get("/v1/analyses").json()["data"] == []


@refused
def test_names_of_fields_are_checked(client: TestClient, text: str) -> None:
    for body in (ASKED | {text: 1}, ASKED | {"metadata": {text: "me"}}, ASKED | {"response_format": {"a": {text: 1}}}):
        error = fault_in(client.post("/v1/analyses?wait=false", content=json.dumps(body)))
        assert error["param"].isprintable()
        assert not UNSAFE.search(error["param"])


@pytest.mark.parametrize(
    "raw",
    [
        b'{"prompt": "\xed\xb3\xbf"}',  # a surrogate in CESU-8
        b'{"prompt": "\\udcff", "prompt": "\\uDBFF"}',
        '{"prompt": "a\\u0000"}'.encode("utf-16"),
        '{"prompt": "\udcff"}'.encode("utf-16-le", "surrogatepass"),
    ],
)
def test_however_it_is_written(client: TestClient, raw: bytes) -> None:
    assert fault_in(client.post("/v1/analyses", content=raw))["param"] == "prompt"


@pytest.mark.parametrize("raw", [b'{"prompt": "\xc0\x80"}', b'{"prompt": "\xff"}', b'{"prompt": "\xf5\x80\x80\x80"}'])
def test_bytes_that_are_no_utf8(client: TestClient, raw: bytes) -> None:
    """Overlong forms among them."""
    assert "not JSON" in fault_in(client.post("/v1/analyses", content=raw))["message"]


@allowed
def test_what_is_unusual_but_valid_is_allowed(client: TestClient, text: str) -> None:
    body = ASKED | {"prompt": f"What is {text}?", "video_url": VIDEO, "metadata": {text: text}}
    for content in (json.dumps(body), json.dumps(body, ensure_ascii=False).encode()):
        response = client.post("/v1/analyses?wait=false", content=content)
        assert response.status_code == 202, response.text
        assert (response.json()["prompt"], response.json()["metadata"]) == (f"What is {text}?", {text: text})


# --- Forms ------------------------------------------------------------------------------------------------------------


def form(*parts: tuple[str, bytes]) -> bytes:
    """A form of (the rest of Content-Disposition, content)."""
    return b"".join(
        b"--x\r\nContent-Disposition: form-data; " + rest.encode("latin-1") + b"\r\n\r\n" + content + b"\r\n"
        for rest, content in parts
    ) + b"--x--\r\n"  # fmt: skip


PROMPT, FILE = ('name="prompt"', b"What?"), ('name="video"; filename="a.mp4"', VIDEO_BYTES)


@pytest.mark.parametrize(
    ("parts", "charset", "param"),
    [
        ([('name="prompt"', b"a\x00"), FILE], "utf-8", "prompt"),
        ([('name="prompt"', b"a\\udcff"), FILE], "unicode_escape", "prompt"),
        ([('name="prompt"', b"a+3P8-"), FILE], "utf-7", "prompt"),
        ([PROMPT, ("name=\"video\"; filename*=UTF-8''a%00.mp4", VIDEO_BYTES)], "utf-8", "video"),
        ([PROMPT, ('name="video"; filename="a\\\\udcff.mp4"', VIDEO_BYTES)], "unicode_escape", "video"),
        ([PROMPT, FILE, ('name="metadata"', b'{"who": "\\udcff"}')], "utf-8", "metadata"),
        ([PROMPT, FILE, ('name="metadata"', b'{"\\u0000": "me"}')], "utf-8", "metadata"),
        ([PROMPT, FILE, ('name="response_format"', b'{"type": "\\ud800"}')], "utf-8", "response_format"),
    ],
)
def test_forms_are_checked(
    client: TestClient, uploads: Path, parts: list[tuple[str, bytes]], charset: str, param: str
) -> None:
    headers = {"content-type": f"multipart/form-data; boundary=x; charset={charset}"}
    error = fault_in(client.post("/v1/analyses?wait=false", content=form(*parts), headers=headers))
    assert error["param"].startswith(param)
    assert list(uploads.iterdir()) == []


def test_a_form_field_that_is_nested_too_deeply(client: TestClient) -> None:
    content = form(PROMPT, FILE, ('name="metadata"', b"[" * 100_000))
    headers = {"content-type": "multipart/form-data; boundary=x"}
    error = fault_in(client.post("/v1/analyses?wait=false", content=content, headers=headers))
    assert error["param"] == "metadata"


def test_names_of_uploads_are_checked(client: TestClient, uploads: Path) -> None:
    content = form(("name=\"file\"; filename*=UTF-8''a%00.mp4", VIDEO_BYTES))
    headers = {"content-type": "multipart/form-data; boundary=x"}
    assert fault_in(client.post("/v1/files", content=content, headers=headers))["param"] == "file"
    assert list(uploads.iterdir()) == []


@allowed
def test_names_of_uploads_that_are_allowed(client: TestClient, text: str) -> None:
    name = "".join(text.split())
    response = client.post("/v1/files", files={"file": (f"{name}.mp4", VIDEO_BYTES)})
    assert response.status_code == 200, response.text
    assert client.get("/v1/files").json()["data"] == [response.json()]


@pytest.mark.parametrize("name", ["filename", "purpose", "expires_after", "anything"])
def test_metadata_of_tus_is_checked(client: TestClient, uploads: Path, name: str) -> None:
    encoded = base64.b64encode(b"a\x00b").decode()
    headers = {"Tus-Resumable": "1.0.0", "Upload-Length": "5", "Upload-Metadata": f"{name} {encoded}"}
    error = fault_in(client.post("/v1/files/uploads", headers=headers))
    assert error["param"] == "Upload-Metadata"
    assert name in error["message"]
    surrogate = base64.b64encode(b"\xed\xb3\xbf").decode()
    error = fault_in(client.post("/v1/files/uploads", headers=headers | {"Upload-Metadata": f"{name} {surrogate}"}))
    assert error["param"] == "Upload-Metadata"
    assert list(uploads.iterdir()) == []


# --- Paths, queries, headers ------------------------------------------------------------------------------------------

ENCODED = ["%00", "a%00b", "%FF", "%ED%B3%BF", "%C0%80", "%F5%80%80%80"]


@pytest.mark.parametrize("encoded", ENCODED)
@pytest.mark.parametrize(
    ("method", "route", "param"),
    [
        ("GET", "/v1/analyses/{}", "analysis_id"),
        ("DELETE", "/v1/analyses/{}", "analysis_id"),
        ("GET", "/v1/analyses/{}/events", "analysis_id"),
        ("GET", "/v1/analyses/{}/export?format=md", "analysis_id"),
        ("GET", "/v1/files/{}", "file_id"),
        ("GET", "/v1/files/{}/content", "file_id"),
        ("GET", "/v1/files/uploads/{}", "upload_id"),
        ("GET", "/v1/models/{}", "model"),
        ("GET", "/status/{}", "job_id"),
        ("POST", "/v2/{}/cancel/analysis-0", "endpoint_id"),
        ("GET", "/v1/analyses?after={}", "after"),
        ("GET", "/v1/files?purpose={}", "purpose"),
        ("GET", "/v1/files?unknown={}", "unknown"),
    ],
)
def test_paths_and_queries_are_checked(client: TestClient, method: str, route: str, param: str, encoded: str) -> None:
    assert fault_in(client.request(method, route.format(encoded)))["param"] == param


@pytest.mark.parametrize("encoded", ENCODED)
@pytest.mark.parametrize("route", ["/page/{}", "/nowhere/{}"])
def test_paths_of_no_route_are_not_found(client: TestClient, route: str, encoded: str) -> None:
    assert client.get(route.format(encoded)).status_code == 404


def test_a_valid_path_is_allowed(client: TestClient) -> None:
    assert client.get("/v1/analyses/%F0%9F%8E%AC%EF%BF%BD").json()["error"]["type"] == "analysis_not_found"
    assert client.get("/v1/files?purpose=%F0%9F%8E%AC").status_code == 200


@pytest.mark.parametrize("name", HEADERS)
@pytest.mark.parametrize("value", [b"key\x00", b"\xff", b"\xed\xb3\xbf", b"\xc0\x80", "\u00e9".encode("latin-1")])
async def test_headers_are_checked(name: str, value: bytes) -> None:
    """Not through a client: it sends bytes of headers as UTF-8."""
    scope = {"type": "http", "path": "/", "query_string": b"", "headers": [(name.lower().encode(), value)]}
    with pytest.raises(InvalidRequest) as caught:
        await check_request_line(Request(scope))
    assert caught.value.param == name
    valid = scope | {"headers": [(name.lower().encode(), "🎬 é".encode())]}
    await check_request_line(Request(valid))


def test_headers_are_checked_on_every_route(client: TestClient) -> None:
    value = b"key\x00"
    for method, route, name in (
        ("POST", "/v1/analyses?wait=false", b"Idempotency-Key"),
        ("GET", "/v1/analyses/analysis-0/events", b"Last-Event-ID"),
    ):
        error = fault_in(client.request(method, route, headers=[(name, value)]))
        assert error["param"] == name.decode()
    headers = [(b"Tus-Resumable", b"1.0.0"), (b"Upload-Length", b"5"), (b"Upload-Metadata", value + b" YQ==")]
    assert fault_in(client.post("/v1/files/uploads", headers=headers))["param"] == "Upload-Metadata"


def test_other_headers_do_not_matter(client: TestClient) -> None:
    headers = [(b"Cookie", b"other=\xff"), (b"User-Agent", b"\xe9")]
    assert client.get("/v1/analyses", headers=headers).status_code == 200


# --- The search -------------------------------------------------------------------------------------------------------


@given(ANY_JSON)
def test_the_search_finds_what_is_there(value: object) -> None:
    text = json.dumps(value)
    is_unsafe = bool(UNSAFE.search(json.dumps(value, ensure_ascii=False).replace("\\u0000", "\x00")))
    fault = find_unsafe(json.loads(text))
    assert fault is None or is_unsafe
    assert fault is None or may_hold_unsafe(text)
    if fault:
        with pytest.raises(InvalidRequest):
            check_texts(value)


@given(st.text(), st.sampled_from(list(REFUSED.values())), st.integers(0, 400))
def test_it_is_found_at_any_depth(name: str, text: str, depth: int) -> None:
    value: Any = text
    for level in range(depth):
        value = [1, value] if level % 2 else {"a": "b", "c": value}
    assert find_unsafe(value)
    assert find_unsafe({"a": value})
