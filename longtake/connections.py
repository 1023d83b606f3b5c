"""The two ways to carry out calls: blocking, and for asyncio. All I/O of the clients happens here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any, TypeVar

import httpx
from httpx_sse import EventSource

from longtake.calls import Call, Page
from longtake.errors import ServerUnreachable
from longtake.events import ServerEvent, event_of
from longtake.requests import Request, base_url_of, check, client_arguments, unreachable_errors
from longtake.resumption import Resumption

Result = TypeVar("Result")

CLOSED_EARLY = "it closed the stream before the last event"


class Connection:
    """A blocking connection to one server."""

    def __init__(self, base_url: str | None, api_key: str | None, transport: httpx.BaseTransport | None) -> None:
        self.base_url = base_url_of(base_url)
        self._http = httpx.Client(**client_arguments(self.base_url, api_key), transport=transport)

    def json(self, method: str, url: str, **arguments: Any) -> Any:
        return self._response(method, url, **arguments).json()

    def text(self, request: Request) -> str:
        with request.opened() as arguments:
            return self._response(**arguments).text

    def send(self, call: Call[Result]) -> Result:
        with call.request.opened() as arguments:
            return call.read(self.json(**arguments))

    def items(self, call: Call[Page[Result]]) -> Iterator[Result]:
        """The items of all pages, each read when its turn comes."""
        following: Call[Page[Result]] | None = call
        while following is not None:
            page = self.send(following)
            yield from page.items
            following = page.following

    def events(self, request: Request) -> Iterator[ServerEvent]:
        """The events of one response, up to the last.

        Raises ServerError for an `error` event, ServerUnreachable if the stream ends or breaks before the last one.
        """
        is_over = False
        with (
            unreachable_errors(self.base_url),
            request.opened() as arguments,
            self._http.stream(**arguments) as response,
        ):
            if response.is_error:
                response.read()
            check(response)
            for sse in EventSource(response).iter_sse():
                if sse.data:  # httpx-sse makes empty events of keep-alive comments
                    event = event_of(sse.event, sse.data, sse.id, response.status_code)
                    is_over = event.is_last
                    yield event
        if not is_over:
            raise ServerUnreachable(self.base_url, CLOSED_EARLY)

    def follow(self, resumption: Resumption) -> Iterator[ServerEvent]:
        """All events of a stored analysis; a broken stream resumes where it stopped."""
        while not resumption.is_over:
            try:
                for event in self.events(resumption.request):
                    resumption.record(event)
                    yield event
            except ServerUnreachable as error:
                time.sleep(resumption.pause_seconds(error))

    def close(self) -> None:
        self._http.close()

    def _response(self, method: str, url: str, **arguments: Any) -> httpx.Response:
        with unreachable_errors(self.base_url):
            response = self._http.request(method, url, **arguments)
        check(response)
        return response


class AsyncConnection:
    """A connection to one server, for asyncio."""

    def __init__(self, base_url: str | None, api_key: str | None, transport: httpx.AsyncBaseTransport | None) -> None:
        self.base_url = base_url_of(base_url)
        self._http = httpx.AsyncClient(**client_arguments(self.base_url, api_key), transport=transport)

    async def json(self, method: str, url: str, **arguments: Any) -> Any:
        return (await self._response(method, url, **arguments)).json()

    async def text(self, request: Request) -> str:
        with request.opened() as arguments:
            return (await self._response(**arguments)).text

    async def send(self, call: Call[Result]) -> Result:
        with call.request.opened() as arguments:
            return call.read(await self.json(**arguments))

    async def items(self, call: Call[Page[Result]]) -> AsyncIterator[Result]:
        following: Call[Page[Result]] | None = call
        while following is not None:
            page = await self.send(following)
            for item in page.items:
                yield item
            following = page.following

    async def events(self, request: Request) -> AsyncGenerator[ServerEvent, None]:
        is_over = False
        with unreachable_errors(self.base_url), request.opened() as arguments:
            async with self._http.stream(**arguments) as response:
                if response.is_error:
                    await response.aread()
                check(response)
                async with aclosing(EventSource(response).aiter_sse()) as received:
                    async for sse in received:
                        if sse.data:
                            event = event_of(sse.event, sse.data, sse.id, response.status_code)
                            is_over = event.is_last
                            yield event
        if not is_over:
            raise ServerUnreachable(self.base_url, CLOSED_EARLY)

    async def follow(self, resumption: Resumption) -> AsyncGenerator[ServerEvent, None]:
        while not resumption.is_over:
            try:
                async with aclosing(self.events(resumption.request)) as events:
                    async for event in events:
                        resumption.record(event)
                        yield event
            except ServerUnreachable as error:
                await asyncio.sleep(resumption.pause_seconds(error))

    async def close(self) -> None:
        await self._http.aclose()

    async def _response(self, method: str, url: str, **arguments: Any) -> httpx.Response:
        with unreachable_errors(self.base_url):
            response = await self._http.request(method, url, **arguments)
        check(response)
        return response
