"""Requests cannot reach the server's own network. Resolver and connect are fakes; nothing is sent."""

import socket
from collections.abc import Sequence

import httpcore
import pytest

from pipeline.config import SourceSettings
from pipeline.errors import InvalidRequest, LongtakeError, SourceForbidden, SourceNotFound, SourceUnavailable
from pipeline.sources import VideoLibrary, parse_video_url
from pipeline.sources.remote.public_addresses import is_public, resolve_host
from pipeline.types import HttpUrl, HttpVideo
from tests.pipeline.sources.contents import content_of
from tests.pipeline.sources.origins import HttpSite, redirect, sized

PRIVATE_ADDRESSES = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::808:808",
    "100::1",
    "2001::1",
    "2001:10::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%1",
    "fec0::1",
    "ff02::1",
]

NUMERIC_HOSTS = [
    "127.0.0.1",
    "127.1",
    "127.0.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "017700000001",
    "0177.0.0.1",
    "0",
    "0x0",
    "2852039166",
    "0xa9fea9fe",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:a9fe:a9fe]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
    "[fd00:ec2::254]",
    "localhost",
    "LOCALHOST",
]

PARSER_TRAPS = [
    "http://8.8.8.8@127.0.0.1/",
    "http://127.0.0.1\\@8.8.8.8/",
    "http://8.8.8.8\\@127.0.0.1/",
    "http://8.8.8.8:80@127.0.0.1:80/",
    "http://8.8.8.8\t.127.0.0.1/",
    "http://127。0。0。1/",
    "http://①②⑦.⓪.⓪.①/",
    "http://ⓛocalhost/",
    "http://%31%32%37.0.0.1/",
    "http://127.0.0.1%2f@8.8.8.8/",
    "http://[::1%25lo]/",
    "http://[::1%lo]/",
    "http://[127.0.0.1]/",
    "http://127.0.0.1:80\r\nHost: x/",
]


class Dials:
    """Stands at `connect`: remembers the addresses and refuses them all."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.addresses: list[str] = []
        monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", self._connect_tcp)

    def _connect_tcp(self, address: str, port: int, *_: object) -> httpcore.NetworkStream:
        self.addresses.append(address)
        raise httpcore.ConnectError("refused by the test")


@pytest.fixture
def dials(monkeypatch: pytest.MonkeyPatch) -> Dials:
    monkeypatch.setattr("pipeline.sources.remote.retries._FIRST_PAUSE_SECONDS", 0)
    return Dials(monkeypatch)


@pytest.fixture
def guarded(settings: SourceSettings) -> SourceSettings:
    return settings.model_copy(update={"allow_private_addresses": False})


def refusal(library: VideoLibrary, url: str) -> LongtakeError:
    with pytest.raises(LongtakeError) as caught, library.open(HttpVideo(HttpUrl.parse(url))):
        pass
    return caught.value


@pytest.mark.parametrize("address", PRIVATE_ADDRESSES)
def test_private_addresses(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "8.8.8.8",
        "100.128.0.1",
        "172.32.0.1",
        "2606:4700::1111",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
    ],
)
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", NUMERIC_HOSTS)
def test_hosts_of_this_machine_are_not_dialled(guarded: SourceSettings, dials: Dials, host: str) -> None:
    refused = refusal(VideoLibrary(guarded), f"http://{host}/latest/meta-data")
    assert type(refused) is SourceForbidden
    assert refused.param == "video_url"
    assert "allow_private_addresses" in refused.message
    assert dials.addresses == []


@pytest.mark.parametrize("host", ["127.0.0.1.", "localhost."])
def test_hosts_that_end_with_a_dot(guarded: SourceSettings, dials: Dials, host: str) -> None:
    """Systems differ in whether these exist."""
    assert type(refusal(VideoLibrary(guarded), f"http://{host}/")) in (SourceForbidden, SourceNotFound)
    assert dials.addresses == []


@pytest.mark.parametrize("url", PARSER_TRAPS)
def test_urls_that_parsers_read_differently(guarded: SourceSettings, dials: Dials, url: str) -> None:
    assert type(refusal(VideoLibrary(guarded), url)) is InvalidRequest
    with pytest.raises(InvalidRequest):
        parse_video_url(url)
    assert dials.addresses == []


@pytest.mark.parametrize("address", PRIVATE_ADDRESSES)
def test_names_that_lead_inside(guarded: SourceSettings, dials: Dials, address: str) -> None:
    refused = refusal(VideoLibrary(guarded, resolve=lambda host, port: ["8.8.8.8", address]), "https://a.example/v")
    assert type(refused) is SourceForbidden
    assert address.partition("%")[0] not in refused.message.replace("https://a.example/v", "")
    assert dials.addresses == []


def test_every_public_answer_is_tried_as_it_was_given(guarded: SourceSettings, dials: Dials) -> None:
    answers = iter([["8.8.8.8", "2606:4700::1"], ["8.8.4.4"], ["1.1.1.1"]])
    library = VideoLibrary(guarded, resolve=lambda host, port: next(answers))
    assert type(refusal(library, "http://a.example/v")) is SourceUnavailable
    assert dials.addresses == ["8.8.8.8", "2606:4700::1", "8.8.4.4", "1.1.1.1"]


def test_rebinding_between_attempts_is_seen(guarded: SourceSettings, dials: Dials) -> None:
    answers = iter([["8.8.8.8"], ["127.0.0.1"]])
    library = VideoLibrary(guarded, resolve=lambda host, port: next(answers))
    assert type(refusal(library, "http://a.example/v")) is SourceForbidden
    assert dials.addresses == ["8.8.8.8"]


def test_unknown_host(guarded: SourceSettings) -> None:
    def resolve(host: str, port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    refused = refusal(VideoLibrary(guarded, resolve=resolve), "http://a.example/v")
    assert type(refused) is SourceNotFound
    assert "host that does not exist" in refused.message


def test_resolver_knows_numeric_spellings() -> None:
    assert resolve_host("0x7f.1", 80) == ["127.0.0.1"]


@pytest.mark.parametrize(
    "location",
    [
        "http://inside.example/secret",
        "http://169.254.169.254/latest/meta-data",
        "//127.0.0.1/secret",
        "http://2130706433/secret",
        "file:///etc/passwd",
        "ftp://8.8.8.8/a",
        "gopher://8.8.8.8/a",
        "data:text/plain;base64,AAAA",
        "http://user:pw@8.8.8.8/",
        "http://[::1]/",
        "http://[bad/",
        "http://8.8.8.8\\@127.0.0.1/",
    ],
)
def test_redirects_inside_are_refused(
    guarded: SourceSettings, site: HttpSite, monkeypatch: pytest.MonkeyPatch, location: str
) -> None:
    """The first host counts as public, by a test address that is let through to the loopback server."""
    site.pages["/v"] = redirect(location)
    dialled = []
    connect_tcp = httpcore.SyncBackend.connect_tcp

    def to_site(self: object, address: str, port: int, *rest: object) -> httpcore.NetworkStream:
        dialled.append(address)
        return connect_tcp(self, "127.0.0.1", port, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(httpcore.SyncBackend, "connect_tcp", to_site)

    def resolve(host: str, port: int) -> Sequence[str]:
        known = {"outside.example": ["8.8.8.8"], "inside.example": ["10.0.0.7"]}
        return known[host] if host in known else resolve_host(host, port)

    url = site.url.replace("127.0.0.1", "outside.example") + "/v"
    refused = refusal(VideoLibrary(guarded, resolve=resolve), url)
    assert type(refused) is SourceForbidden
    assert "10.0.0.7" not in refused.message
    assert location not in refused.message
    assert dialled == ["8.8.8.8"]


def test_public_host_gets_its_own_name(
    guarded: SourceSettings, site: HttpSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.pages["/v"] = sized(b"video")
    connect_tcp = httpcore.SyncBackend.connect_tcp
    monkeypatch.setattr(
        httpcore.SyncBackend,
        "connect_tcp",
        lambda self, address, port, *rest: connect_tcp(self, "127.0.0.1", port, *rest),
    )
    library = VideoLibrary(guarded, resolve=lambda host, port: ["8.8.8.8"])
    with library.open(HttpVideo(HttpUrl.parse(site.url.replace("127.0.0.1", "outside.example") + "/v"))) as copy:
        assert content_of(copy) == b"video"
    assert site.requests[0][1]["host"] == site.url.replace("http://127.0.0.1", "outside.example")
