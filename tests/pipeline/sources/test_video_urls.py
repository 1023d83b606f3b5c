"""Parse video URLs, and decode data: URLs and frame lists."""

import base64
import time

import pytest

from pipeline.errors import InvalidRequest, SourceTooLarge
from pipeline.sources import DataUrl, decode_data_url, decode_frame_list, parse_video_url
from pipeline.types import HttpUrl, HttpVideo, S3Video
from tests.deployments.api.wire import frame_list


@pytest.mark.parametrize(
    ("url", "source"),
    [
        ("http://host/a.mp4", HttpVideo(HttpUrl.parse("http://host/a.mp4"))),
        ("HTTPS://host:8443/a?sig=1", HttpVideo(HttpUrl.parse("HTTPS://host:8443/a?sig=1"))),
        ("https://[2606:4700::1]/a", HttpVideo(HttpUrl.parse("https://[2606:4700::1]/a"))),
        ("s3://bucket/some/key.mp4", S3Video("bucket", "some/key.mp4")),
        ("s3://my.bucket-1/k?y#z %20", S3Video("my.bucket-1", "k?y#z %20")),
        ("data:video/mp4;base64,AAAA", DataUrl("data:video/mp4;base64,AAAA")),
        ("data:;base64,AAAA", DataUrl("data:;base64,AAAA")),
    ],
)
def test_allowed_urls(url: str, source: object) -> None:
    assert parse_video_url(url) == source


@pytest.mark.parametrize(
    "url",
    [
        "",
        " ",
        "video.mp4",
        "/data/video.mp4",
        "file:///etc/passwd",
        "FILE:/etc/passwd",
        "ftp://host/a",
        "rtsp://host/a",
        "gopher://host/a",
        "concat:a|b",
        "http:",
        "http:///a",
        "http://",
        "https:/host/a",
        " http://host/a",
        "http://host/a b",
        "http://host/a\r\nX: y",
        "http://ho\tst/a",
        "http://host\\@127.0.0.1/a",
        "http://user:pw@host/a",
        "http://user@host/a",
        "http://@host/a",
        "http://host:99999/a",
        "http://host:x/a",
        "http://[::1/a",
        "http://[fe80::1%25eth0]/a",
        "http://[::zz]/a",
        "http://h\u00f6st/a",
        "http://\u2460\u2461\u2466.0.0.1/a",
        "http://a..b/",
        "http://" + "a" * 64 + ".com/",
        "http://ho%73t/",
        "s3://bucket",
        "s3://bucket/",
        "s3:///key",
        "s3://arn:aws:s3:us-east-1:1:accesspoint/x/key",
        "s3://Bucket@host/key",
        "s3://UP/a",
        "data:video/mp4,AAAA",
        "data:video/mp4;base64",
    ],
)
def test_refused_urls(url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_video_url(url)
    assert caught.value.param == "video_url"


def test_refusal_says_what_is_allowed() -> None:
    with pytest.raises(InvalidRequest, match=r"'ftp' is not allowed.*http://, https://, s3://bucket/key and data:"):
        parse_video_url("ftp://host/a")


@pytest.mark.parametrize("url", ["file:///srv/a.mp4", "/srv/a.mp4", ""])
def test_server_files_are_pointed_to_video_path(url: str) -> None:
    with pytest.raises(InvalidRequest, match="video_path"):
        parse_video_url(url)


def test_userinfo_is_not_repeated() -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_video_url("https://user:canary@host/a")
    assert "canary" not in caught.value.message


@pytest.mark.parametrize("content", [b"a", b"ab", b"abc", b"abcd" * 1000])
def test_data_url_at_the_limit(content: bytes) -> None:
    url = "data:video/mp4;base64," + base64.b64encode(content).decode()
    assert decode_data_url(url, len(content)) == content
    with pytest.raises(SourceTooLarge, match=f"holds {len(content)} bytes and at most {len(content) - 1}"):
        decode_data_url(url, len(content) - 1)


def test_too_large_data_url_is_not_decoded() -> None:
    url = "data:video/mp4;base64," + "!" * 40_000_000  # not base64: decoding it would be another error
    start = time.perf_counter()
    with pytest.raises(SourceTooLarge):
        decode_data_url(url, 1000)
    assert time.perf_counter() - start < 1


@pytest.mark.parametrize("payload", ["", "A", "AA=A", "AAAA\n", "\u00e9AAA", "===="])
def test_broken_data_url(payload: str) -> None:
    with pytest.raises(InvalidRequest):
        decode_data_url("data:video/mp4;base64," + payload, 1000)


def test_data_url_has_a_short_repr() -> None:
    assert "AAAA" not in repr(parse_video_url("data:video/mp4;base64,AAAA"))


@pytest.mark.parametrize(
    ("url", "is_list"),
    [
        ("data:video/jpeg;base64,AAAA", True),
        ("DATA:Video/JPEG;Base64,AAAA,AAAA", True),
        ("data:video/mp4;base64,AAAA", False),
        ("data:image/jpeg;base64,AAAA", False),
        ("data:video/jpeg2;base64,AAAA", False),
        ("data:;base64,video/jpeg", False),
    ],
)
def test_frame_lists_are_known_by_their_type(url: str, is_list: bool) -> None:
    parsed = parse_video_url(url)
    assert isinstance(parsed, DataUrl)
    assert parsed.is_frame_list == is_list


@pytest.mark.parametrize("images", [(), (b"a",), (b"a", b"ab", b"abc"), (b"a", b"", b"b"), (b"a", b"")])
def test_images_of_a_frame_list(images: tuple[bytes, ...]) -> None:
    url, size_bytes = frame_list(*images), sum(map(len, images))
    assert tuple(decode_frame_list(url, size_bytes)) == images
    if images:
        with pytest.raises(SourceTooLarge, match=f"more than {size_bytes - 1} bytes"):
            list(decode_frame_list(url, size_bytes - 1))


def test_the_image_that_is_not_base64_is_named() -> None:
    images = decode_frame_list(frame_list(b"a", b"b") + ",A!AA," + "AAAA", 1000)
    assert (next(images), next(images)) == (b"a", b"b")
    with pytest.raises(InvalidRequest, match=r"^Frame 2 of the list, counted from 0, is not valid base64"):
        next(images)
