"""Asking a Longtake server about a video."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

CONNECT_TIMEOUT_SECONDS = 10.0


class ServerError(Exception):
    """The server refused or failed a request. The message says what was got, what is allowed and what to do."""

    def __init__(self, message: str, *, status: int = 0, type: str = "unknown", param: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.type = type
        self.param = param


@dataclass(frozen=True)
class ServerEvent:
    """One server-sent event: `plan`, `chunk`, `progress`, `delta`, `answer` or `error`."""

    name: str
    data: dict[str, Any]


class Longtake:
    """A server at `base_url`. Answers take as long as they take: there is no timeout but that of connecting."""

    def __init__(self, base_url: str = "http://127.0.0.1:8000") -> None:
        self._http = httpx.Client(
            base_url=base_url, timeout=httpx.Timeout(None, connect=CONNECT_TIMEOUT_SECONDS), trust_env=False
        )

    def analyze(self, video: str | Path, prompt: str, **options: Any) -> dict[str, Any]:
        """The whole answer of `POST /v1/analyses`; `options` are its fields.

        `video` is a file here, which is uploaded; an http, https, s3 or data URL; or the id of an upload. Raises
        ServerError.
        """
        with ExitStack() as resources:
            response = self._http.post("/v1/analyses", **_body(video, prompt, options, resources))
        _raise_for_error(response)
        answer: dict[str, Any] = response.json()
        return answer

    def stream(self, video: str | Path, prompt: str, **options: Any) -> Iterator[ServerEvent]:
        """The same, as it happens. Raises ServerError, also for an `error` event."""
        with ExitStack() as resources:
            body = _body(video, prompt, options | {"stream": True}, resources)
            response = resources.enter_context(self._http.stream("POST", "/v1/analyses", **body))
            if response.is_error:
                response.read()
                _raise_for_error(response)
            for event in _events(response.iter_lines()):
                if event.name == "error":
                    raise _server_error(event.data, response.status_code)
                yield event

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _body(video: str | Path, prompt: str, options: dict[str, Any], resources: ExitStack) -> dict[str, Any]:
    """What httpx is told to send: a form for a file, JSON for a name."""
    fields = {"prompt": prompt, **options}
    if isinstance(video, str) and (video.startswith("data:") or "://" in video):
        return {"json": fields | {"video_url": video}}
    if isinstance(video, str) and video.startswith("file-") and not Path(video).exists():
        return {"json": fields | {"file_id": video}}
    path = Path(video)
    file = resources.enter_context(path.open("rb"))
    texts = {name: _form_text(value) for name, value in fields.items() if value is not None}
    return {"data": texts, "files": {"video": (path.name, file)}}


def _form_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _events(lines: Iterator[str]) -> Iterator[ServerEvent]:
    name, data = "message", ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            data += line.removeprefix("data: ")
        elif not line and data:
            yield ServerEvent(name, json.loads(data))
            name, data = "message", ""


def _raise_for_error(response: httpx.Response) -> None:
    if not response.is_error:
        return
    try:
        body = response.json()
    except ValueError:
        body = {}
    raise _server_error(body, response.status_code)


def _server_error(body: dict[str, Any], status: int) -> ServerError:
    error = body.get("error") or {}
    return ServerError(
        error.get("message") or f"The server answered {status}.",
        status=status,
        type=error.get("type") or "unknown",
        param=error.get("param"),
    )
