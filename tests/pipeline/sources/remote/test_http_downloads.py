"""Download videos over HTTP: status codes, redirects, broken connections, hostile origins and TLS."""

import gc
import os
import pickle
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from pipeline.config import SourceSettings
from pipeline.errors import (
    InvalidRequest,
    LongtakeError,
    SourceChanged,
    SourceForbidden,
    SourceNotFound,
    SourceTooLarge,
    SourceUnavailable,
    UnreadableVideo,
)
from pipeline.sources import VideoLibrary
from tests.pipeline.sources.downloads import VIDEO, cached, fetch, refusal
from tests.pipeline.sources.origins import HttpSite, Page, in_turn, page, redirect, sized


@pytest.fixture
def library(settings: SourceSettings, monkeypatch: pytest.MonkeyPatch) -> VideoLibrary:
    monkeypatch.setattr("pipeline.sources.remote.retries._FIRST_PAUSE_SECONDS", 0.01)
    return VideoLibrary(settings)


def breaking(content: bytes, *, at: int, times: int, resumable: bool = True, etag: str = '"v1"') -> Page:
    """Hangs up `at` bytes into the body, `times` times, and not at the first request, for the version."""
    breaks = iter([True] * times)

    def send(handler: BaseHTTPRequestHandler) -> None:
        range_header = handler.headers.get("Range")
        start = int(range_header[6:-1]) if range_header and resumable else 0
        handler.send_response(206 if start else 200)
        handler.send_header("ETag", etag)
        handler.send_header("Content-Length", str(len(content) - start))
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.end_headers()
        is_version_request = not handler.server.seen_version  # type: ignore[attr-defined]
        handler.server.seen_version = True  # type: ignore[attr-defined]
        if not is_version_request and next(breaks, False):
            handler.wfile.write(content[start : start + at])
            handler.close_connection = True
        else:
            handler.wfile.write(content[start:])

    return send


@pytest.mark.parametrize(
    "headers",
    [
        {"ETag": '"v1"'},
        {"ETag": 'W/"v1"'},
        {"Last_Modified": "Wed, 21 Oct 2015 07:28:00 GMT"},
        {"ETag": '"v1"', "Content_Length": str(len(VIDEO))},
        {"Content_Length": str(len(VIDEO))},
        {},
    ],
)
def test_download_is_kept_and_recognised(
    settings: SourceSettings, library: VideoLibrary, site: HttpSite, headers: dict[str, str]
) -> None:
    site.pages["/v.mp4"] = page(VIDEO, **headers)
    fingerprint, content = fetch(library, site.url + "/v.mp4")
    assert content == VIDEO
    assert len(cached(settings)) == 1
    other_node = VideoLibrary(settings.model_copy(update={"cache_dir": settings.cache_dir / "other"}))
    assert fetch(other_node, site.url + "/v.mp4", fingerprint) == (fingerprint, VIDEO)
    assert fetch(library, site.url + "/v.mp4") == (fingerprint, VIDEO)


def test_changed_origin(settings: SourceSettings, library: VideoLibrary, site: HttpSite) -> None:
    site.pages["/v"] = sized(VIDEO, ETag='"v1"')
    fingerprint, _ = fetch(library, site.url + "/v")
    site.pages["/v"] = sized(b"other", ETag='"v2"')
    for copy in cached(settings):
        copy.unlink()
    assert type(refusal(library, site.url + "/v", fingerprint)) is SourceChanged
    changed, content = fetch(library, site.url + "/v")
    assert changed != fingerprint
    assert content == b"other"


def test_change_between_version_and_body(settings: SourceSettings, library: VideoLibrary, site: HttpSite) -> None:
    site.pages["/v"] = in_turn(sized(VIDEO, ETag='"v1"'), sized(VIDEO, ETag='"v2"'))
    assert type(refusal(library, site.url + "/v")) is SourceChanged
    assert cached(settings) == []


@pytest.mark.parametrize(
    ("status", "error", "requests"),
    [
        (404, SourceNotFound, 1),
        (410, SourceNotFound, 1),
        (401, SourceForbidden, 1),
        (403, SourceForbidden, 1),
        (400, SourceUnavailable, 1),
        (418, SourceUnavailable, 1),
        (204, SourceUnavailable, 1),
        (206, SourceUnavailable, 1),
        (304, SourceUnavailable, 1),
        (429, SourceUnavailable, 3),
        (500, SourceUnavailable, 3),
        (503, SourceUnavailable, 3),
    ],
)
def test_statuses(
    settings: SourceSettings,
    library: VideoLibrary,
    site: HttpSite,
    status: int,
    error: type[LongtakeError],
    requests: int,
) -> None:
    site.pages["/v"] = sized(b"" if status in (204, 304) else b"body", status)
    refused = refusal(library, site.url + "/v?X-Amz-Signature=canary")
    assert type(refused) is error
    assert str(status) in refused.message
    assert f"{site.url}/v" in refused.message
    assert "canary" not in refused.message
    assert len(site.requests) == requests
    assert cached(settings) == []


def test_one_bad_answer_is_survived(library: VideoLibrary, site: HttpSite) -> None:
    site.pages["/v"] = in_turn(sized(b"", 503), sized(VIDEO), sized(b"", 500), sized(VIDEO))
    assert fetch(library, site.url + "/v")[1] == VIDEO


def test_validator_that_cannot_be_sent_back(library: VideoLibrary, site: HttpSite) -> None:
    site._server.seen_version = False  # type: ignore[attr-defined]
    site.pages["/v"] = breaking(VIDEO, at=100_000, times=1, etag='"v\u00e9"')
    assert fetch(library, site.url + "/v")[1] == VIDEO
    assert "range" not in site.requests[-1][1]


@pytest.mark.parametrize("resumable", [True, False])
def test_broken_download_goes_on(library: VideoLibrary, site: HttpSite, resumable: bool) -> None:
    site._server.seen_version = False  # type: ignore[attr-defined]
    site.pages["/v"] = breaking(VIDEO, at=100_000, times=2, resumable=resumable)
    assert fetch(library, site.url + "/v")[1] == VIDEO
    ranges = [headers.get("range") for _, headers in site.requests]
    assert ranges[:2] == [None, None]
    assert len(ranges) == 4
    assert all(value is not None for value in ranges[2:])
    if resumable:
        assert ranges[2:] == ["bytes=100000-", "bytes=200000-"]
        assert site.requests[2][1]["if-range"] == '"v1"'


def test_download_that_always_breaks(settings: SourceSettings, library: VideoLibrary, site: HttpSite) -> None:
    site._server.seen_version = False  # type: ignore[attr-defined]
    site.pages["/v"] = breaking(VIDEO, at=1000, times=10)
    refused = refusal(library, site.url + "/v")
    assert type(refused) is SourceUnavailable
    assert "3 times in a row" in refused.message
    assert cached(settings) == []


@pytest.mark.parametrize("declared", [True, False])
def test_oversize(settings: SourceSettings, site: HttpSite, declared: bool) -> None:
    small = VideoLibrary(settings.model_copy(update={"max_video_bytes": 100_000}))
    site.pages["/v"] = sized(VIDEO) if declared else page(VIDEO, ETag='"v"')
    refused = refusal(small, site.url + "/v")
    assert type(refused) is SourceTooLarge
    assert "100000 bytes" in refused.message
    assert len(site.requests) == (1 if declared else 2)
    assert cached(settings) == []


def test_endless_body_without_any_identity(settings: SourceSettings, site: HttpSite) -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        page(b"")(handler)
        while True:
            handler.wfile.write(b"x" * 65536)

    site.pages["/v"] = endless
    assert type(refusal(VideoLibrary(settings), site.url + "/v")) is SourceTooLarge


def test_empty_body(settings: SourceSettings, library: VideoLibrary, site: HttpSite) -> None:
    site.pages["/v"] = sized(b"")
    assert type(refusal(library, site.url + "/v")) is UnreadableVideo
    site.pages["/w"] = page(b"", ETag='"v"')
    assert type(refusal(library, site.url + "/w")) is UnreadableVideo
    assert cached(settings) == []


def test_redirects_are_followed(library: VideoLibrary, site: HttpSite) -> None:
    site.pages["/a"] = redirect("/b/../c?x=1", status=308)
    site.pages["/c"] = redirect(f"{site.url}/d", status=301)
    site.pages["/d"] = redirect("v", status=307)
    site.pages["/v"] = sized(VIDEO)
    assert fetch(library, site.url + "/a")[1] == VIDEO
    assert site.paths()[:4] == ["/a", "/c?x=1", "/d", "/v"]


def test_too_many_redirects(library: VideoLibrary, site: HttpSite) -> None:
    site.pages["/a"] = redirect("/a")
    refused = refusal(library, site.url + "/a?canary")
    assert type(refused) is SourceUnavailable
    assert "more than the 3 times" in refused.message
    assert len(site.requests) == 4


def test_redirect_to_nowhere(library: VideoLibrary, site: HttpSite) -> None:
    site.pages["/a"] = sized(b"", 302)
    assert type(refusal(library, site.url + "/a")) is SourceUnavailable


def silent(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(3)


def dripping_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
    for _ in range(40):
        time.sleep(0.1)
        handler.wfile.write(b"x")


def dripping_body(handler: BaseHTTPRequestHandler) -> None:
    page(b"", ETag='"v"', Content_Length="1000")(handler)
    for _ in range(40):
        time.sleep(0.1)
        handler.wfile.write(b"x")


def no_http(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")


def two_lengths(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx")


def huge_headers(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 1_000_000 + b"\r\n\r\n")


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.close_connection = True


@pytest.mark.parametrize(
    "answer", [silent, dripping_headers, dripping_body, no_http, two_lengths, huge_headers, hang_up]
)
def test_hostile_origins_end_at_the_deadline(settings: SourceSettings, site: HttpSite, answer: Page) -> None:
    site.pages["/v"] = answer
    limited = settings.model_copy(update={"download_timeout_seconds": 0.8, "read_timeout_seconds": 0.5})
    start = time.monotonic()
    assert type(refusal(VideoLibrary(limited), site.url + "/v")) is SourceUnavailable
    assert time.monotonic() - start < 1.3
    assert cached(settings) == []


def test_nobody_listens(settings: SourceSettings, library: VideoLibrary) -> None:
    refused = refusal(library, "http://127.0.0.1:9/v")
    assert type(refused) is SourceUnavailable
    assert "could not be connected to, 3 times in a row" in refused.message


def test_certificate_is_checked_against_the_host(
    settings: SourceSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address is dialled, the name is what TLS and the Host header get."""
    names: list[str | None] = []
    with tls_site(tmp_path, "outside.example", names) as site:
        site.pages["/v"] = sized(VIDEO)
        library = VideoLibrary(settings, resolve=lambda host, port: ["127.0.0.1"])
        url = site.url.replace("http://127.0.0.1", "https://outside.example") + "/v"
        untrusted = refusal(library, url)
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "outside.example.pem"))
        content = fetch(library, url)[1]
        wrong_name = refusal(library, url.replace("outside", "other"))
    assert content == VIDEO
    assert set(names) == {"outside.example", "other.example"}
    assert site.requests[0][1]["host"].startswith("outside.example:")
    for refused in (untrusted, wrong_name):
        assert type(refused) is SourceUnavailable
        assert "TLS certificate that cannot be verified" in refused.message


@contextmanager
def tls_site(folder: Path, host: str, names: list[str | None]) -> Iterator[HttpSite]:
    """A site with a self-signed certificate in `folder`. `names` gets the names that clients ask for."""
    pem = folder / f"{host}.pem"
    subprocess.run(
        f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN={host} "
        f"-addext subjectAltName=DNS:{host} -keyout key.pem -out {host}.pem".split(),
        cwd=folder,
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, folder / "key.pem")
    context.sni_callback = lambda connection, name, _: names.append(name)
    site = HttpSite(context)
    try:
        yield site
    finally:
        site.close()


def test_no_tls_behind_https(library: VideoLibrary, site: HttpSite) -> None:
    assert type(refusal(library, site.url.replace("http", "https") + "/v")) is SourceUnavailable


@pytest.mark.parametrize("url", ["file:///etc/passwd", "http://user:canary@127.0.0.1/v", "ftp://127.0.0.1/v"])
def test_what_is_no_plain_url_is_refused(library: VideoLibrary, url: str) -> None:
    refused = refusal(library, url)
    assert type(refused) is InvalidRequest
    assert "canary" not in refused.message


def test_errors_survive_pickling(library: VideoLibrary, site: HttpSite) -> None:
    refused = refusal(library, site.url + "/missing")
    again = pickle.loads(pickle.dumps(refused))
    assert (type(again), again.message, again.param) == (SourceNotFound, refused.message, "video_url")


def test_nothing_stays_open(library: VideoLibrary, site: HttpSite) -> None:
    site.pages["/v"] = sized(VIDEO)
    fetch(library, site.url + "/v")
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    fetch(library, site.url + "/v")
    refusal(library, site.url + "/missing")
    time.sleep(0.1)  # the server's side of the connections
    assert len(os.listdir("/proc/self/fd")) <= before
