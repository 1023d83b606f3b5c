"""The same as `longtake.client`, for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack

import httpx

from longtake.client import OnEvent, already_finished, given, submitted_id
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


class AsyncLongtake:
    """A server, as Longtake is; every method is to be awaited, every iterator is asynchronous."""

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.base_url = base_url_of(base_url)
        self._http = httpx.AsyncClient(**client_arguments(self.base_url, api_key), transport=transport)
        self.files = AsyncFiles(self)

    async def analyze(
        self,
        video: Video,
        prompt: str,
        *,
        on_event: OnEvent | None = None,
        on_upload: UploadProgress | None = None,
        **options: Unpack[AnalysisOptions],
    ) -> Answer:
        if on_event is not None:
            async for event in self.stream(video, prompt, on_upload=on_upload, **options):
                on_event(event)
                if isinstance(event, AnswerEvent):
                    return event.answer
        with request_body(video, {"prompt": prompt, **options}, on_upload) as body:
            return parsed(Answer, await self.request("POST", "/v1/analyses", **body))

    async def stream(
        self, video: Video, prompt: str, *, on_upload: UploadProgress | None = None, **options: Unpack[AnalysisOptions]
    ) -> AsyncIterator[ServerEvent]:
        fields = {"prompt": prompt, **options, "stream": True}
        with request_body(video, fields, on_upload) as body:
            last: ServerEvent | None = None
            async for event in self._events("POST", "/v1/analyses", **body):
                last = event
                yield event
        if not isinstance(last, AnswerEvent):
            raise ServerUnreachable(self.base_url, "it closed the stream without an answer")

    async def estimate(
        self,
        video: Video,
        prompt: str | None = None,
        *,
        on_upload: UploadProgress | None = None,
        **options: Unpack[AnalysisOptions],
    ) -> Estimate:
        with request_body(video, {"prompt": prompt, **options}, on_upload) as body:
            return parsed(Estimate, await self.request("POST", "/v1/estimate", **body))

    async def submit(
        self,
        video: Video,
        prompt: str,
        *,
        idempotency_key: str | None = None,
        on_upload: UploadProgress | None = None,
        **options: Unpack[AnalysisOptions],
    ) -> AsyncAnalysis:
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        with request_body(video, {"prompt": prompt, **options}, on_upload) as body:
            told = await self.request("POST", "/v1/analyses", params={"wait": "false"}, headers=headers, **body)
        return AsyncAnalysis(self, submitted_id(told))

    def analysis(self, analysis_id: str) -> AsyncAnalysis:
        return AsyncAnalysis(self, analysis_id)

    async def analyses(self, *, status: Status | None = None, page_size: int = 20) -> AsyncIterator[AnalysisState]:
        after: str | None = None
        while True:
            params = {"limit": page_size, "after": after, "status": status}
            page = await self.request("GET", "/v1/analyses", params=given(params))
            for item in page["data"]:
                yield parsed(AnalysisState, item)
            if not page.get("has_more"):
                return
            after = page["last_id"]

    async def models(self) -> tuple[str, ...]:
        return tuple(str(model["id"]) for model in (await self.request("GET", "/v1/models"))["data"])

    async def check_ready(self) -> str:
        return str((await self.request("GET", "/health/ready"))["model"])

    async def request(self, method: str, path: str, **arguments: Any) -> Any:
        with reaching(self.base_url):
            response = await self._http.request(method, path, **arguments)
        check(response)
        return response.json()

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncLongtake {self.base_url}>"

    async def _events(self, method: str, path: str, **arguments: Any) -> AsyncIterator[ServerEvent]:
        parser = EventParser()
        async with AsyncExitStack() as resources:
            with reaching(self.base_url):
                response = await resources.enter_async_context(self._http.stream(method, path, **arguments))
                if response.is_error:
                    await response.aread()
            check(response)
            lines = response.aiter_lines()
            while True:
                with reaching(self.base_url):
                    line = await anext(lines, None)
                if line is None:
                    return
                for event in parser.feed(line):
                    if isinstance(event, ErrorEvent):
                        raise ServerError.of(event.data, response.status_code)
                    yield event


class AsyncFiles:
    """Uploads, each of which several questions may be asked about."""

    def __init__(self, client: AsyncLongtake) -> None:
        self._client = client

    async def upload(self, file: str | Path, *, on_upload: UploadProgress | None = None) -> File:
        with upload_body(file, on_upload) as body:
            return parsed(File, await self._client.request("POST", "/v1/files", **body))

    async def get(self, file_id: str) -> File:
        return parsed(File, await self._client.request("GET", f"/v1/files/{file_id}"))

    async def list(self) -> AsyncIterator[File]:
        for item in (await self._client.request("GET", "/v1/files"))["data"]:
            yield parsed(File, item)

    async def delete(self, file_id: str) -> None:
        await self._client.request("DELETE", f"/v1/files/{file_id}")


class AsyncAnalysis:
    """A durable analysis, on the server."""

    def __init__(self, client: AsyncLongtake, analysis_id: str) -> None:
        self.id = analysis_id
        self._client = client
        self._path = f"/v1/analyses/{analysis_id}"

    async def status(self) -> AnalysisState:
        return parsed(AnalysisState, await self._client.request("GET", self._path))

    async def events(self, after: str | None = None) -> AsyncIterator[ServerEvent]:
        pauses = iter(RECONNECT_PAUSES_SECONDS)
        while True:
            headers = {"Last-Event-ID": after} if after is not None else {}
            try:
                async for event in self._client._events("GET", f"{self._path}/events", headers=headers):
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
            await asyncio.sleep(pause)

    async def result(self, *, on_event: OnEvent | None = None) -> Answer:
        async for event in self.events():
            if on_event is not None:
                on_event(event)
            if isinstance(event, AnswerEvent):
                return event.answer
        raise AnalysisCancelled(self.id)

    async def cancel(self) -> AnalysisState:
        state = await self.status()
        if state.is_finished:
            raise already_finished(state)
        return parsed(AnalysisState, await self._client.request("DELETE", self._path))

    async def delete(self) -> None:
        await self._client.request("DELETE", self._path)

    def __repr__(self) -> str:
        return f"<AsyncAnalysis {self.id} at {self._client.base_url}>"
