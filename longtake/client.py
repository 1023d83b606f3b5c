"""Asking a Longtake server about videos."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack

import httpx

from longtake.errors import AnalysisCancelled, ServerError, ServerUnreachable
from longtake.events import AnswerEvent, CancelledEvent, ErrorEvent, EventParser, ServerEvent
from longtake.options import AnalysisOptions
from longtake.parsing import parsed
from longtake.requests import (
    RECONNECT_PAUSES_SECONDS,
    UploadProgress,
    Video,
    base_url_of,
    check,
    client_arguments,
    reaching,
    request_body,
    upload_body,
)
from longtake.results import AnalysisState, Answer, Estimate, File, Status

OnEvent = Callable[[ServerEvent], None]


class Longtake:
    """A server. `base_url` is that of the environment's LONGTAKE_SERVER, or http://127.0.0.1:8000, where none is given.

    Answers take as long as they take: there is no timeout but that of connecting. All methods raise ServerError, and
    ServerUnreachable where nothing answers. A video is a file here, which is uploaded; an http, https, s3 or data URL;
    the id of an upload; or a ServerPath.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`api_key` is sent as a bearer token, for a proxy that asks for one."""
        self.base_url = base_url_of(base_url)
        self._http = httpx.Client(**client_arguments(self.base_url, api_key), transport=transport)
        self.files = Files(self)

    def analyze(
        self,
        video: Video,
        prompt: str,
        *,
        on_event: OnEvent | None = None,
        on_upload: UploadProgress | None = None,
        **options: Unpack[AnalysisOptions],
    ) -> Answer:
        """The whole answer. `on_event` is told of things as they happen."""
        if on_event is not None:
            for event in self.stream(video, prompt, on_upload=on_upload, **options):
                on_event(event)
                if isinstance(event, AnswerEvent):
                    return event.answer
        with request_body(video, {"prompt": prompt, **options}, on_upload) as body:
            return parsed(Answer, self.request("POST", "/v1/analyses", **body))

    def stream(
        self, video: Video, prompt: str, *, on_upload: UploadProgress | None = None, **options: Unpack[AnalysisOptions]
    ) -> Iterator[ServerEvent]:
        """The same, as it happens; the last event is an AnswerEvent. To close the iterator cancels the analysis."""
        fields = {"prompt": prompt, **options, "stream": True}
        with request_body(video, fields, on_upload) as body:
            last: ServerEvent | None = None
            for event in self._events("POST", "/v1/analyses", **body):
                last = event
                yield event
        if not isinstance(last, AnswerEvent):
            raise ServerUnreachable(self.base_url, "it closed the stream without an answer")

    def estimate(
        self,
        video: Video,
        prompt: str | None = None,
        *,
        on_upload: UploadProgress | None = None,
        **options: Unpack[AnalysisOptions],
    ) -> Estimate:
        """What an analysis would look at and cost; nothing runs."""
        with request_body(video, {"prompt": prompt, **options}, on_upload) as body:
            return parsed(Estimate, self.request("POST", "/v1/estimate", **body))

    def submit(
        self,
        video: Video,
        prompt: str,
        *,
        idempotency_key: str | None = None,
        on_upload: UploadProgress | None = None,
        **options: Unpack[AnalysisOptions],
    ) -> Analysis:
        """Starts a durable analysis, which goes on without this client, and over a restart of the server."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        with request_body(video, {"prompt": prompt, **options}, on_upload) as body:
            told = self.request("POST", "/v1/analyses", params={"wait": "false"}, headers=headers, **body)
        return Analysis(self, submitted_id(told))

    def analysis(self, analysis_id: str) -> Analysis:
        """One that was submitted before."""
        return Analysis(self, analysis_id)

    def analyses(self, *, status: Status | None = None, page_size: int = 20) -> Iterator[AnalysisState]:
        """All durable ones, newest first, without their results."""
        after: str | None = None
        while True:
            params = {"limit": page_size, "after": after, "status": status}
            page = self.request("GET", "/v1/analyses", params=given(params))
            yield from (parsed(AnalysisState, item) for item in page["data"])
            if not page.get("has_more"):
                return
            after = page["last_id"]

    def models(self) -> tuple[str, ...]:
        """The names to ask for: the model's, then those of its adapters."""
        return tuple(str(model["id"]) for model in self.request("GET", "/v1/models")["data"])

    def check_ready(self) -> str:
        """The model's name. Raises ServerError unless the engine generates."""
        return str(self.request("GET", "/health/ready")["model"])

    def request(self, method: str, path: str, **arguments: Any) -> Any:
        """The JSON that any route answers with. `arguments` are httpx's."""
        with reaching(self.base_url):
            response = self._http.request(method, path, **arguments)
        check(response)
        return response.json()

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Longtake {self.base_url}>"

    def _events(self, method: str, path: str, **arguments: Any) -> Iterator[ServerEvent]:
        """Raises ServerError for an ErrorEvent."""
        parser = EventParser()
        with ExitStack() as resources:
            with reaching(self.base_url):
                response = resources.enter_context(self._http.stream(method, path, **arguments))
                if response.is_error:
                    response.read()
            check(response)
            lines = response.iter_lines()
            while True:
                with reaching(self.base_url):
                    line = next(lines, None)
                if line is None:
                    return
                for event in parser.feed(line):
                    if isinstance(event, ErrorEvent):
                        raise ServerError.of(event.data, response.status_code)
                    yield event


class Files:
    """Uploads, each of which several questions may be asked about."""

    def __init__(self, client: Longtake) -> None:
        self._client = client

    def upload(self, file: str | Path, *, on_upload: UploadProgress | None = None) -> File:
        with upload_body(file, on_upload) as body:
            return parsed(File, self._client.request("POST", "/v1/files", **body))

    def get(self, file_id: str) -> File:
        return parsed(File, self._client.request("GET", f"/v1/files/{file_id}"))

    def list(self) -> Iterator[File]:
        yield from (parsed(File, item) for item in self._client.request("GET", "/v1/files")["data"])

    def delete(self, file_id: str) -> None:
        self._client.request("DELETE", f"/v1/files/{file_id}")


class Analysis:
    """A durable analysis, on the server."""

    def __init__(self, client: Longtake, analysis_id: str) -> None:
        self.id = analysis_id
        self._client = client
        self._path = f"/v1/analyses/{analysis_id}"

    def status(self) -> AnalysisState:
        return parsed(AnalysisState, self._client.request("GET", self._path))

    def events(self, after: str | None = None) -> Iterator[ServerEvent]:
        """All events from its start, or after the one with that id, until an AnswerEvent or a CancelledEvent.

        A stream that breaks is gone on with where it broke.
        """
        pauses = iter(RECONNECT_PAUSES_SECONDS)
        while True:
            headers = {"Last-Event-ID": after} if after is not None else {}
            try:
                for event in self._client._events("GET", f"{self._path}/events", headers=headers):
                    after, pauses = event.id or after, iter(RECONNECT_PAUSES_SECONDS)
                    yield event
                    if isinstance(event, AnswerEvent | CancelledEvent):
                        return
                broken = ServerUnreachable(self._client.base_url, "it closed the stream before the end")
            except ServerUnreachable as error:
                broken = error
            pause = next(pauses, None)
            if pause is None:
                raise broken
            time.sleep(pause)

    def result(self, *, on_event: OnEvent | None = None) -> Answer:
        """Waits for the answer. Raises AnalysisCancelled, or the analysis' own failure as ServerError."""
        for event in self.events():
            if on_event is not None:
                on_event(event)
            if isinstance(event, AnswerEvent):
                return event.answer
        raise AnalysisCancelled(self.id)

    def cancel(self) -> AnalysisState:
        """Ends it. Raises ServerError (409) where it is finished already, and keeps it."""
        state = self.status()
        if state.is_finished:
            raise already_finished(state)
        return parsed(AnalysisState, self._client.request("DELETE", self._path))

    def delete(self) -> None:
        """Removes a finished one from the server's books."""
        self._client.request("DELETE", self._path)

    def __repr__(self) -> str:
        return f"<Analysis {self.id} at {self._client.base_url}>"

    def _repr_markdown_(self) -> str:
        return self.status()._repr_markdown_()


def submitted_id(told: Mapping[str, Any]) -> str:
    """Raises ServerError where the server is one that knows no durable analyses."""
    if told.get("object") != "analysis":
        raise ServerError("This server keeps no durable analyses; ask with `analyze` or `stream`.", type="not_found")
    return str(told["id"])


def already_finished(state: AnalysisState) -> ServerError:
    return ServerError(
        f"The analysis {state.id} is {state.status} already; `delete` removes it.", status=409, type="already_finished"
    )


def given(params: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is None."""
    return {name: value for name, value in params.items() if value is not None}
