"""HTTP requests as values, and the settings and errors that every exchange shares.

Opening the file to upload is the only I/O here.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import httpx

from longtake.errors import ServerError, ServerUnreachable

DEFAULT_SERVER = "http://127.0.0.1:8000"
SERVER_VARIABLE = "LONGTAKE_SERVER"
CONNECT_TIMEOUT_SECONDS = 10.0

UploadProgress = Callable[[int, int], None]
"""Called with the bytes sent so far and the bytes in total."""


@dataclass(frozen=True)
class Upload:
    """A local file to send as one part of a form."""

    form_field: str
    path: Path
    on_progress: UploadProgress | None = None


@dataclass(frozen=True)
class Request:
    """One request. `None` among `params`, `headers` and `fields` leaves the choice to the server and is not sent."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str | None] = field(default_factory=dict)
    fields: Mapping[str, Any] | None = None
    """The JSON body, or the form's other parts if there is an upload."""
    upload: Upload | None = None

    @contextmanager
    def opened(self) -> Iterator[dict[str, Any]]:
        """Arguments for `httpx.Client.request`; the upload is open while the block runs.

        Raises ServerError if the file to upload cannot be read.
        """
        fields = None if self.fields is None else _given(self.fields)
        arguments = {
            "method": self.method,
            "url": self.path,
            "params": _given(self.params),
            "headers": _given(self.headers),
        }
        if self.upload is None:
            yield arguments | ({} if fields is None else {"json": fields})
            return
        with _opened(self.upload) as file:
            files = {self.upload.form_field: (self.upload.path.name, file)}
            yield arguments | {"data": _texts(fields or {}), "files": files}


def base_url_of(given: str | None) -> str:
    """The server's address: as given, else from the environment, else the default."""
    return (given or os.environ.get(SERVER_VARIABLE) or DEFAULT_SERVER).rstrip("/")


def client_arguments(base_url: str, api_key: str | None) -> dict[str, Any]:
    """Arguments of `httpx.Client` and `httpx.AsyncClient`. Only connecting times out: an answer may take hours."""
    return {
        "base_url": base_url,
        "timeout": httpx.Timeout(None, connect=CONNECT_TIMEOUT_SECONDS),
        "trust_env": False,
        "headers": {"Authorization": f"Bearer {api_key}"} if api_key else {},
    }


@contextmanager
def unreachable_errors(base_url: str) -> Iterator[None]:
    """Translate httpx's transport errors to ServerUnreachable."""
    try:
        yield
    except httpx.TransportError as error:
        raise ServerUnreachable(base_url, str(error) or type(error).__name__) from None


def check(response: httpx.Response) -> None:
    """Raise ServerError if the status of a response, whose body has been read, is an error."""
    if not response.is_error:
        return
    try:
        body = response.json()
    except ValueError:
        body = None
    raise ServerError.of(body, response.status_code)


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _texts(fields: Mapping[str, Any]) -> dict[str, str]:
    """Form parts are texts; the server parses JSON in them."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}


@contextmanager
def _opened(upload: Upload) -> Iterator[BinaryIO]:
    try:
        file = upload.path.open("rb")
    except OSError as error:
        raise ServerError(
            f"Cannot read {upload.path}: {error.strerror or error}. Give a file, a URL, or the id of an upload.",
            type="source_not_found",
            param=upload.form_field,
        ) from None
    with file:
        yield file if upload.on_progress is None else _ReportingFile(file, upload.on_progress)  # type: ignore[misc]


class _ReportingFile:
    """A file that reports how far it has been read."""

    def __init__(self, file: BinaryIO, on_progress: UploadProgress) -> None:
        self._file, self._on_progress = file, on_progress
        self._total_bytes = os.fstat(file.fileno()).st_size

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self._on_progress(self._file.tell(), self._total_bytes)
        return block

    def fileno(self) -> int:
        return self._file.fileno()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()
