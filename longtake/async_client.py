"""The client for asyncio: the same as `longtake.client`, with methods to await and iterators for `async for`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack

import httpx

from longtake import calls
from longtake.calls import ExportFormat, Order, Purpose
from longtake.connections import AsyncConnection
from longtake.errors import AnalysisCancelled
from longtake.events import AnswerEvent, OnEvent, ServerEvent
from longtake.options import AnalysisOptions, SubmitOptions
from longtake.plans import Estimate
from longtake.requests import UploadProgress
from longtake.results import AnalysisState, Answer, File, Status
from longtake.resumption import Resumption
from longtake.videos import Video


class AsyncLongtake:
    """A Longtake server.

    A video is a local file, which is uploaded; an http, https, s3 or data URL; the id of an upload; or a `ServerPath`.
    Options are the fields of the HTTP API; the server chooses a default for each one that is left out.

    Only connecting times out: an answer may take hours. Every method raises `ServerError` if the server refuses or
    fails the request, and `ServerUnreachable` if the server does not answer.
    """

    def __init__(
        self,
        base_url: str | None = None,
        *,
        api_key: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Connect to `base_url`, by default that of the environment's LONGTAKE_SERVER, else http://127.0.0.1:8000.

        `api_key` is sent as a bearer token, for a proxy that requires one.
        """
        self._connection = AsyncConnection(base_url, api_key, transport)
        self.base_url = self._connection.base_url
        self.files = AsyncFiles(self._connection)

    async def analyze(
        self,
        video: Video,
        prompt: str,
        *,
        on_event: OnEvent | None = None,
        on_upload: UploadProgress | None = None,
        **options: Unpack[AnalysisOptions],
    ) -> Answer:
        """Return the whole answer. `on_event` is called with each event of the analysis as it happens."""
        fields = {"prompt": prompt, **options}
        if on_event is None:
            return await self._connection.send(calls.analyze(video, fields, on_upload))
        answer = await _last_answer(self._connection.events(calls.stream(video, fields, on_upload)), on_event)
        assert answer is not None, "only stored analyses are cancelled"
        return answer

    def stream(
        self, video: Video, prompt: str, *, on_upload: UploadProgress | None = None, **options: Unpack[AnalysisOptions]
    ) -> AsyncIterator[ServerEvent]:
        """Yield events as they happen; the last one is an `AnswerEvent`. Closing the iterator cancels the analysis."""
        return self._connection.events(calls.stream(video, {"prompt": prompt, **options}, on_upload))

    async def estimate(
        self,
        video: Video,
        prompt: str | None = None,
        *,
        on_upload: UploadProgress | None = None,
        **options: Unpack[AnalysisOptions],
    ) -> Estimate:
        """Return what an analysis would look at and cost, without running it."""
        return await self._connection.send(calls.estimate(video, {"prompt": prompt, **options}, on_upload))

    async def submit(
        self,
        video: Video,
        prompt: str,
        *,
        idempotency_key: str | None = None,
        on_upload: UploadProgress | None = None,
        **options: Unpack[SubmitOptions],
    ) -> AsyncAnalysis:
        """Start a stored analysis, which needs no connection to run and survives a restart of the server.

        With the same `idempotency_key` within a day, the same request returns the same analysis.
        """
        call = calls.submit(video, {"prompt": prompt, **options}, on_upload, idempotency_key)
        return AsyncAnalysis(self._connection, await self._connection.send(call))

    def analysis(self, analysis_id: str) -> AsyncAnalysis:
        """Return the stored analysis with this id. Does not ask the server."""
        return AsyncAnalysis(self._connection, analysis_id)

    def analyses(self, *, status: Status | None = None, page_size: int = 20) -> AsyncIterator[AnalysisState]:
        """Yield all stored analyses, newest first, without their plans, chunk results and answers."""
        return self._connection.items(calls.list_analyses(status, page_size))

    async def models(self) -> tuple[str, ...]:
        """Return the values that `model` accepts: the served model, then its adapters."""
        return await self._connection.send(calls.list_models())

    async def check_ready(self) -> str:
        """Return the model's name once the engine has generated a token. Raises ServerError if it did not."""
        return await self._connection.send(calls.check_ready())

    async def request(self, method: str, path: str, **arguments: Any) -> Any:
        """Send any request, with httpx's `arguments`, and return the JSON of the response."""
        return await self._connection.json(method, path, **arguments)

    async def close(self) -> None:
        """Close all connections to the server."""
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<AsyncLongtake {self.base_url}>"


class AsyncFiles:
    """Uploads on the server. Several analyses may use one upload."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def upload(
        self,
        file: str | Path,
        *,
        on_upload: UploadProgress | None = None,
        purpose: Purpose | None = None,
        expires_after_seconds: int | None = None,
    ) -> File:
        """Upload a local file. By default it expires when the server's configuration says, or never."""
        return await self._connection.send(calls.upload_file(file, on_upload, purpose, expires_after_seconds))

    async def get(self, file_id: str) -> File:
        """Return one upload."""
        return await self._connection.send(calls.get_file(file_id))

    def list(
        self, *, order: Order | None = None, purpose: Purpose | None = None, page_size: int = 100
    ) -> AsyncIterator[File]:
        """Yield all uploads, by default the latest first."""
        return self._connection.items(calls.list_files(order, purpose, page_size))

    async def delete(self, file_id: str) -> None:
        """Delete one upload."""
        await self._connection.send(calls.delete_file(file_id))


class AsyncAnalysis:
    """A stored analysis. `AsyncLongtake.submit` and `AsyncLongtake.analysis` return it."""

    def __init__(self, connection: AsyncConnection, analysis_id: str) -> None:
        self.id = analysis_id
        self._connection = connection

    async def status(self) -> AnalysisState:
        """Return how far the analysis is, with the results so far."""
        return await self._connection.send(calls.get_analysis(self.id))

    def events(self, after: str | None = None) -> AsyncIterator[ServerEvent]:
        """Yield all events, or those after the event with the id `after`, up to an `AnswerEvent` or `CancelledEvent`.

        A broken stream resumes where it stopped. Raises ServerError if the analysis fails.
        """
        return self._connection.follow(Resumption(self.id, after))

    async def result(self, *, on_event: OnEvent | None = None) -> Answer:
        """Wait for the answer. Raises ServerError if the analysis fails, AnalysisCancelled if it is cancelled."""
        answer = await _last_answer(self._connection.follow(Resumption(self.id, None)), on_event)
        if answer is None:
            raise AnalysisCancelled(self.id)
        return answer

    async def export(self, export_format: ExportFormat) -> str:
        """Return the answer as the text of a file. Raises ServerError (409) if the analysis is not completed."""
        return await self._connection.text(calls.export_analysis(self.id, export_format))

    async def cancel(self) -> AnalysisState:
        """Cancel the analysis. Raises ServerError (409) if it has ended, and keeps it."""
        return await self._connection.send(calls.cancel_analysis(await self.status()))

    async def delete(self) -> None:
        """Delete the analysis if it has ended; cancel it if it has not."""
        await self._connection.send(calls.delete_analysis(self.id))

    def __repr__(self) -> str:
        return f"<AsyncAnalysis {self.id} at {self._connection.base_url}>"


async def _last_answer(events: AsyncGenerator[ServerEvent, None], on_event: OnEvent | None) -> Answer | None:
    """The answer with which `events` end; `None` if the analysis was cancelled."""
    async with aclosing(events):
        async for event in events:
            if on_event is not None:
                on_event(event)
            if isinstance(event, AnswerEvent):
                return event.answer
    return None
