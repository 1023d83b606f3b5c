"""The `video_url` of a request: which URLs are allowed, and how they are named in messages."""

from __future__ import annotations

import base64
import binascii
import ipaddress
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, urlsplit

from pipeline.errors import InvalidRequest, SourceTooLarge
from pipeline.types import HttpVideo, S3Video

PARAM = "video_url"
_ALLOWED = "Allowed are http://, https://, s3://bucket/key and data: URLs."
_SERVER_PATH_HINT = "Name a file on the server by `video_path`."
_FRAME_LIST = "data:video/jpeg;base64,"


@dataclass(frozen=True)
class DataUrl:
    """A video inside the request itself. It stays encoded until `decode_data_url` or `decode_frame_list`."""

    url: str = field(repr=False)

    @property
    def is_frame_list(self) -> bool:
        """Whether it is `data:video/jpeg;base64,` with one or more images, each encoded on its own, and commas between
        them: vLLM's way to send frames that are already decoded.
        """
        return self.url[: len(_FRAME_LIST)].lower() == _FRAME_LIST


@dataclass(frozen=True)
class HttpTarget:
    """An http or https URL, taken apart once, so that no second parser can read it differently."""

    scheme: str
    host: str
    """A name, or an IP address without brackets."""
    port: int | None
    path_and_query: str

    @property
    def authority(self) -> str:
        """As in the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path_and_query}"


def parse_video_url(url: str) -> HttpVideo | S3Video | DataUrl:
    """Tells what kind of source a URL is. Nothing is opened or decoded.

    Raises InvalidRequest for every other scheme and for URLs that are malformed or carry a password.
    """
    scheme = _scheme_of(url)
    if scheme in ("http", "https"):
        split_http_url(url)
        return HttpVideo(url)
    if scheme == "s3":
        return _split_s3_url(url)
    if scheme == "data":
        _data_payload(url)
        return DataUrl(url)
    raise InvalidRequest(_refusal(scheme), param=PARAM)


def split_http_url(url: str) -> HttpTarget:
    """Takes an http or https URL apart. Raises InvalidRequest for others, malformed ones and userinfo."""
    if _scheme_of(url) not in ("http", "https"):
        raise InvalidRequest(_refusal(_scheme_of(url)), param=PARAM)
    # urlsplit drops tabs and line breaks, and a backslash is a slash to some parsers only.
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise InvalidRequest(
            "The URL contains a blank, a backslash or a control character. Percent-encode it.", param=PARAM
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidRequest("The URL has a malformed host or port. Correct it.", param=PARAM) from error
    if "@" in parts.netloc:
        raise InvalidRequest(
            "The URL carries a user name or password, which is not allowed. Use a presigned URL.", param=PARAM
        )
    return HttpTarget(parts.scheme, _checked_host(parts), port, _path_and_query(parts))


def check_http_url(url: str) -> None:
    """Raises InvalidRequest for what is no plain http or https URL."""
    if _scheme_of(url) not in ("http", "https"):
        raise InvalidRequest("The URL is none of http or https. Send one that is.")
    split_http_url(url)


def public_name(url: str) -> str:
    """What may be shown of an http or https URL: no userinfo, query or fragment, which may hold secrets."""
    return split_http_url(url).url.partition("?")[0]


def check_bucket_name(bucket: str) -> None:
    """Raises InvalidRequest unless `bucket` is a plain name: an ARN leads to other hosts and accounts."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", bucket):
        raise InvalidRequest(
            "The S3 bucket has no valid name. Use s3://bucket/key with 3 to 63 lowercase letters, digits, "
            "dots and hyphens for the bucket.",
            param=PARAM,
        )


def decode_data_url(url: str, max_bytes: int) -> bytes:
    """The bytes inside a base64 `data:` URL.

    Raises SourceTooLarge, before anything is decoded, for more than `max_bytes`, and InvalidRequest when it
    is not base64 or empty.
    """
    start = _data_payload(url)
    size_bytes = (len(url) - start) * 3 // 4 - url.count("=", len(url) - 2)
    if size_bytes > max_bytes:
        raise SourceTooLarge(
            f"The data: URL holds {size_bytes} bytes and at most {max_bytes} are allowed. Upload the file.",
            param=PARAM,
        )
    content = _decoded(url[start:], "The data: URL is not valid base64. Encode the file again.")
    if not content:
        raise InvalidRequest("The data: URL is empty. Put a video into it.", param=PARAM)
    return content


def decode_frame_list(url: str, max_bytes: int) -> Iterator[bytes]:
    """The images inside a frame list, one after the other.

    Raises SourceTooLarge in place of the one with which they are more than `max_bytes`, and InvalidRequest in place of
    one that is not base64.
    """
    start, total_bytes = _data_payload(url), 0
    for index in itertools.count():
        comma = url.find(",", start)
        stop = len(url) if comma < 0 else comma
        if index == 0 and start == stop == len(url):
            return
        image = _decoded(
            url[start:stop], f"Frame {index} of the list, counted from 0, is not valid base64. Encode it again."
        )
        total_bytes += len(image)
        if total_bytes > max_bytes:
            raise SourceTooLarge(
                f"The frames have more than {max_bytes} bytes, the most allowed in a data: URL. Make a video of them "
                "and upload it.",
                param=PARAM,
            )
        yield image
        if comma < 0:
            return
        start = comma + 1


def _decoded(text: str, refusal: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest(refusal, param=PARAM) from error


def _scheme_of(url: str) -> str:
    found = re.match(r"[A-Za-z][A-Za-z0-9+.-]{0,31}(?=:)", url)
    return found[0].lower() if found else ""


def _refusal(scheme: str) -> str:
    got = f"The scheme {scheme!r} is not allowed." if scheme else "The URL has no scheme."
    hint = f" {_SERVER_PATH_HINT}" if scheme in ("", "file") else ""
    return f"{got} {_ALLOWED}{hint}"


def _checked_host(parts: SplitResult) -> str:
    host = parts.hostname or ""
    if ":" in host:
        valid = "%" not in host and _is_ipv6(host)
    else:
        labels = host.removesuffix(".").split(".")
        valid = len(host) <= 253 and all(re.fullmatch(r"[a-z0-9_-]{1,63}", label) for label in labels)
    if not valid:
        raise InvalidRequest(
            "The URL has no valid host. Use an ASCII host name (xn-- for others) or an IP address.",
            param=PARAM,
        )
    return host


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _path_and_query(parts: SplitResult) -> str:
    text = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    # What is ASCII stays as it is: a signature may depend on its spelling.
    return re.sub(r"[^\x21-\x7e]+", lambda found: quote(found[0], errors="replace"), text)


def _split_s3_url(url: str) -> S3Video:
    location = re.fullmatch(r"s3://([^/]*)/(.+)", url, re.DOTALL | re.IGNORECASE)
    if location is None:
        raise InvalidRequest("The S3 URL names no object. Use s3://bucket/key.", param=PARAM)
    bucket, key = location.groups()
    check_bucket_name(bucket)
    return S3Video(bucket, key)


def _data_payload(url: str) -> int:
    header = re.match(r"data:[^,]{0,200},", url, re.IGNORECASE)
    if header is None or not header[0].lower().endswith(";base64,"):
        raise InvalidRequest("The data: URL is not in base64. Use data:video/mp4;base64,<content>.", param=PARAM)
    return header.end()
