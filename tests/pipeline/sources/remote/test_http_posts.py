"""POST to an address that a client named, and refuse private ones."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler

import pytest

from pipeline.config import SourceSettings
from pipeline.errors import SourceForbidden, SourceNotFound
from pipeline.sources import PostFailed, post
from pipeline.types import HttpUrl
from tests.pipeline.sources.origins import HttpSite, page, redirect

BODY = b'{"type": "analysis.completed"}'


def send(
    url: str, settings: SourceSettings, *, resolve: Sequence[str] | None = None, timeout_seconds: float = 5
) -> int:
    parsed, headers = HttpUrl.parse(url), {"webhook-id": "1"}
    if resolve is None:
        return post(parsed, headers, BODY, settings, timeout_seconds=timeout_seconds)
    return post(parsed, headers, BODY, settings, timeout_seconds=timeout_seconds, resolve=lambda host, port: resolve)


@pytest.mark.parametrize("status", [200, 204, 404, 410, 500])
def test_the_status_comes_back(status: int, settings: SourceSettings, site: HttpSite) -> None:
    received: list[bytes] = []

    def answer(handler: BaseHTTPRequestHandler) -> None:
        received.append(handler.rfile.read(int(handler.headers["Content-Length"])))
        page(b"", status, Content_Length="0")(handler)

    site.pages["/hook"] = answer
    assert send(site.url + "/hook?key=1", settings) == status
    assert received == [BODY]
    ((path, headers),) = site.requests
    assert path == "/hook?key=1"
    assert (headers["webhook-id"], headers["content-type"]) == ("1", "application/json")
    assert headers["host"] == site.url.removeprefix("http://")


def test_a_redirect_is_not_followed(settings: SourceSettings, site: HttpSite) -> None:
    site.pages["/hook"] = redirect("/elsewhere", status=307)
    assert send(site.url + "/hook", settings) == 307
    assert site.paths() == ["/hook"]


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["8.8.8.8", "10.0.0.7"]])
def test_private_addresses_are_refused(addresses: Sequence[str], settings: SourceSettings, site: HttpSite) -> None:
    guarded = settings.model_copy(update={"allow_private_addresses": False})
    with pytest.raises(SourceForbidden, match="allow_private_addresses"):
        send(site.url.replace("127.0.0.1", "a.example") + "/hook", guarded, resolve=addresses)
    assert site.requests == []


def test_an_unknown_host(settings: SourceSettings) -> None:
    def resolve(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.raises(SourceNotFound, match="host that does not exist"):
        post(HttpUrl.parse("http://a.example/"), {}, BODY, settings, timeout_seconds=5, resolve=resolve)


def test_nobody_answers(settings: SourceSettings, site: HttpSite) -> None:
    with pytest.raises(PostFailed) as caught:
        send("http://127.0.0.1:9/hook?key=canary", settings)
    assert "canary" not in str(caught.value)
    site.pages["/hook"] = lambda handler: handler.connection.close()
    with pytest.raises(PostFailed):
        send(site.url + "/hook", settings)
