"""What is sent to a server, and what is made of its responses. No I/O but reading the file that is sent."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from longtake.errors import ServerError, ServerUnreachable

DEFAULT_SERVER = "http://127.0.0.1:8000"
SERVER_VARIABLE = "LONGTAKE_SERVER"
CONNECT_TIMEOUT_SECONDS = 10.0
RECONNECT_PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""After which a broken stream of a durable analysis is gone on with, until events come again."""

_UPLOAD_ID = re.compile(r"file-[0-9a-f]{32}")

UploadProgress = Callable[[int, int], None]
"""Told of bytes sent, and of bytes in all."""


@dataclass(frozen=True)
class ServerPath:
    """A video on the server, below one of its media roots."""

    path: str


Video = str | Path | ServerPath
"""A file here, which is uploaded; an http, https, s3 or data URL; the id of an upload; a file on the server."""


def base_url_of(given: str | None) -> str:
    return (given or os.environ.get(SERVER_VARIABLE) or DEFAULT_SERVER).rstrip("/")


def client_arguments(base_url: str, api_key: str | None) -> dict[str, Any]:
    """What both of httpx's clients are made with. Answers take as long as they take."""
    return {
        "base_url": base_url,
        "timeout": httpx.Timeout(None, connect=CONNECT_TIMEOUT_SECONDS),
        "trust_env": False,
        "headers": {"Authorization": f"Bearer {api_key}"} if api_key else {},
    }


def is_named(video: Video) -> bool:
    """Whether the server is told a name, and is not sent a file."""
    if isinstance(video, ServerPath):
        return True
    if isinstance(video, Path):
        return False
    return "://" in video or video.startswith("data:") or _UPLOAD_ID.fullmatch(video) is not None


@contextmanager
def request_body(
    video: Video, fields: Mapping[str, Any], on_upload: UploadProgress | None = None
) -> Iterator[dict[str, Any]]:
    """What httpx is told to send: JSON for a name, a form for a file, which is open as long as the block runs.

    Raises ServerError where there is no such file.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    if is_named(video):
        yield {"json": given | _named(video)}
        return
    assert not isinstance(video, ServerPath)
    with _opened(Path(video), on_upload) as file:
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
        yield {"data": texts, "files": {"video": (Path(video).name, file)}}


@contextmanager
def upload_body(file: str | Path, on_upload: UploadProgress | None = None) -> Iterator[dict[str, Any]]:
    with _opened(Path(file), on_upload) as opened:
        yield {"files": {"file": (Path(file).name, opened)}}


@contextmanager
def reaching(base_url: str) -> Iterator[None]:
    """Raises ServerUnreachable for what keeps httpx from the server."""
    try:
        yield
    except httpx.TransportError as error:
        raise ServerUnreachable(base_url, str(error) or type(error).__name__) from None


def check(response: httpx.Response) -> None:
    """Raises ServerError for a response that is one. Its body has been read."""
    if not response.is_error:
        return
    try:
        body = response.json()
    except ValueError:
        body = None
    raise ServerError.of(body, response.status_code)


def _named(video: Video) -> dict[str, str]:
    if isinstance(video, ServerPath):
        return {"video_path": video.path}
    name = str(video)
    return {"file_id": name} if _UPLOAD_ID.fullmatch(name) else {"video_url": name}


@contextmanager
def _opened(path: Path, on_upload: UploadProgress | None) -> Iterator[BinaryIO]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise ServerError(
            f"{path} cannot be read: {error.strerror or error}. Give a file, a URL, or the id of an upload.",
            type="source_not_found",
            param="video",
        ) from None
    with file:
        yield file if on_upload is None else _Watched(file, on_upload)  # type: ignore[misc]


class _Watched:
    """A file that tells how far it was read."""

    def __init__(self, file: BinaryIO, on_upload: UploadProgress) -> None:
        self._file, self._on_upload = file, on_upload
        self._total = os.fstat(file.fileno()).st_size

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self._on_upload(self._file.tell(), self._total)
        return block

    def fileno(self) -> int:
        return self._file.fileno()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()
