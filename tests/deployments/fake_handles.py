"""Serve's deployment handles, over plain functions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any


class FakeResponse:
    """What `remote()` returns: awaitable or iterable, and cancellable."""

    def __init__(self, result: Any) -> None:
        self._result = result
        self.is_cancelled = False

    def __await__(self) -> Generator[Any, None, Any]:
        result: Generator[Any, None, Any] = self._result.__await__()
        return result

    def __aiter__(self) -> AsyncIterator[Any]:
        events: AsyncIterator[Any] = self._result.__aiter__()
        return events

    def cancel(self) -> None:
        self.is_cancelled = True
        if asyncio.iscoroutine(self._result):
            self._result.close()


class FakeMethod:
    """A method of a handle. Keeps its responses."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self.responses: list[FakeResponse] = []

    def options(self, **_: Any) -> FakeMethod:
        return self

    def remote(self, *arguments: Any) -> FakeResponse:
        response = FakeResponse(self._function(*arguments))
        self.responses.append(response)
        return response


class FakeHandle:
    """A handle whose methods are the functions that it is given."""

    def __init__(self, **functions: Callable[..., Any]) -> None:
        self._methods = {name: FakeMethod(function) for name, function in functions.items()}

    def options(self, **_: Any) -> FakeHandle:
        return self

    def __getattr__(self, name: str) -> FakeMethod:
        return self._methods[name]
