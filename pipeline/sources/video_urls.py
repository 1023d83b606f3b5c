"""The `video_url` of a request: parse a URL, and decode one that holds the video itself."""

from __future__ import annotations

import base64
import binascii
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipeline.errors import InvalidRequest, SourceTooLarge, VideoTooLong
from pipeline.types import HttpUrl, HttpVideo, S3Video
from pipeline.types.http_url import url_scheme

PARAM = "video_url"
_ALLOWED = "Allowed are http://, https://, s3://bucket/key and data: URLs."
_SERVER_PATH_HINT = "Name a file on the server by `video_path`."
_FRAME_LIST = "data:video/jpeg;base64,"


@dataclass(frozen=True)
class DataUrl:
    """A video inside the request. It stays encoded until `decode_data_url` or `decode_frame_list`."""

    url: str = field(repr=False)

    @property
    def is_frame_list(self) -> bool:
        """Whether it is `data:video/jpeg;base64,` followed by separately encoded images with commas between them:
        vLLM's format for frames that are already decoded.
        """
        return self.url[: len(_FRAME_LIST)].lower() == _FRAME_LIST


def parse_video_url(text: str) -> HttpVideo | S3Video | DataUrl:
    """Parse the URL of a video. Nothing is opened or decoded.

    Raises InvalidRequest for every other scheme and for URLs that are malformed or carry a password.
    """
    try:
        match url_scheme(text):
            case "http" | "https":
                return HttpVideo(HttpUrl.parse(text))
            case "s3":
                return _s3_video(text)
            case "data":
                _payload_start(text)
                return DataUrl(text)
            case scheme:
                raise InvalidRequest(_refusal(scheme))
    except InvalidRequest as error:
        error.param = PARAM
        raise


def decode_data_url(url: str, max_bytes: int) -> bytes:
    """Decode a base64 `data:` URL.

    Raises SourceTooLarge for more than `max_bytes`, before decoding anything, and InvalidRequest if it is empty or not
    base64.
    """
    start = _payload_start(url)
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


def decode_frame_list(url: str, max_bytes: int, max_frames: int) -> Iterator[bytes]:
    """Decode the images of a frame list, one after the other.

    Raises VideoTooLong for more than `max_frames`, before decoding anything; SourceTooLarge in place of the image that
    exceeds `max_bytes`; and InvalidRequest in place of an image that is not base64.
    """
    start, total_bytes = _payload_start(url), 0
    num_frames = url.count(",", start) + 1
    if num_frames > max_frames:
        raise VideoTooLong(
            f"The list has {num_frames} frames; {max_frames} are allowed here. Make a video of them and upload it.",
            param=PARAM,
        )
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


def _refusal(scheme: str) -> str:
    got = f"The scheme {scheme!r} is not allowed." if scheme else "The URL has no scheme."
    hint = f" {_SERVER_PATH_HINT}" if scheme in ("", "file") else ""
    return f"{got} {_ALLOWED}{hint}"


def _s3_video(text: str) -> S3Video:
    location = re.fullmatch(r"s3://([^/]*)/(.+)", text, re.DOTALL | re.IGNORECASE)
    if location is None:
        raise InvalidRequest("The S3 URL names no object. Use s3://bucket/key.")
    return S3Video(*location.groups())


def _payload_start(url: str) -> int:
    """The place behind the header. Raises InvalidRequest unless the URL is in base64."""
    header = re.match(r"data:[^,]{0,200},", url, re.IGNORECASE)
    if header is None or not header[0].lower().endswith(";base64,"):
        raise InvalidRequest("The data: URL is not in base64. Use data:video/mp4;base64,<content>.", param=PARAM)
    return header.end()
