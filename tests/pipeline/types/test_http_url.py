"""Parse http and https URLs, and keep their secrets out of messages."""

from __future__ import annotations

import pickle

import pytest

from pipeline.errors import InvalidRequest
from pipeline.types import HttpUrl
from pipeline.types.http_url import url_scheme


def test_public_name_drops_query_and_fragment() -> None:
    url = HttpUrl.parse("https://host:8443/a/b.mp4?X-Amz-Signature=canary#canary")
    assert url.public_name == "https://host:8443/a/b.mp4"


def test_a_signature_is_not_in_the_repr() -> None:
    assert "canary" not in repr(HttpUrl.parse("https://host/a?X-Amz-Signature=canary"))


def test_path_beyond_ascii_is_encoded_and_the_rest_stays() -> None:
    url = HttpUrl.parse("https://host/vid\u00e9o%2F'1'.mp4?s=a+b/c==")
    assert url.path_and_query == "/vid%C3%A9o%2F'1'.mp4?s=a+b/c=="


def test_authority_puts_brackets_back() -> None:
    assert HttpUrl.parse("http://[2606:4700::1]:80/").authority == "[2606:4700::1]:80"


@pytest.mark.parametrize(
    ("text", "url", "written"),
    [
        ("https://host/a?s=1", HttpUrl("https", "host", None, "/a", "s=1"), "https://host/a?s=1"),
        ("HTTP://HOST:8080", HttpUrl("http", "host", 8080, "/"), "http://host:8080/"),
        ("http://host?s=1#part", HttpUrl("http", "host", None, "/", "s=1"), "http://host/?s=1"),
        ("http://[2606:4700::1]:80/\u00e9", HttpUrl("http", "2606:4700::1", 80, "/%C3%A9"), None),
        ("https://host/a?", HttpUrl("https", "host", None, "/a"), "https://host/a"),
        ("https://host/a?b?c", HttpUrl("https", "host", None, "/a", "b?c"), "https://host/a?b?c"),
    ],
)
def test_parts_of_a_url(text: str, url: HttpUrl, written: str | None) -> None:
    """What is written parses to the same URL again."""
    assert HttpUrl.parse(text) == url
    assert str(url) == (written or "http://[2606:4700::1]:80/%C3%A9")
    assert HttpUrl.parse(str(url)) == url


def test_a_url_travels_between_processes() -> None:
    url = HttpUrl.parse("https://host:8443/a?s=1")
    assert pickle.loads(pickle.dumps(url)) == url


@pytest.mark.parametrize("text", ["", "host/a", "ftp://host/a", "s3://bucket/key", "data:video/mp4;base64,AAAA"])
def test_other_schemes_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^The URL is neither http nor https"):
        HttpUrl.parse(text)


@pytest.mark.parametrize(
    ("text", "scheme"), [("HTTP://a", "http"), ("data:,", "data"), ("/srv/a.mp4", ""), ("1a://b", ""), ("a b:c", "")]
)
def test_scheme_of_a_text(text: str, scheme: str) -> None:
    assert url_scheme(text) == scheme
