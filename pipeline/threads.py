"""Blocking methods as coroutines, each run in a thread of a bounded, named pool."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from functools import partial, wraps
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

Blocking = TypeVar("Blocking")
Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


class Threads:
    """A pool of at most `max_threads` threads, named after `name` with a number."""

    def __init__(self, name: str, *, max_threads: int) -> None:
        self._executor = ThreadPoolExecutor(max_threads, thread_name_prefix=name)

    async def run(
        self, function: Callable[Parameters, Result], *args: Parameters.args, **kwargs: Parameters.kwargs
    ) -> Result:
        """Call `function` in a thread, with the caller's context variables. A thread outlives a cancelled caller."""
        context = contextvars.copy_context()
        call = partial(context.run, partial(function, *args, **kwargs))
        return await asyncio.get_running_loop().run_in_executor(self._executor, call)

    def close(self) -> None:
        """Wait for running calls to end; later ones raise RuntimeError."""
        self._executor.shutdown()


class InThreads(Generic[Blocking]):
    """Base of an asynchronous wrapper for a `Blocking` object. `in_thread` wraps its methods."""

    def __init__(self, blocking: Blocking, threads: Threads) -> None:
        self._blocking = blocking
        self._threads = threads


def in_thread(
    method: Callable[Concatenate[Blocking, Parameters], Result],
) -> Callable[Concatenate[InThreads[Blocking], Parameters], Coroutine[Any, Any, Result]]:
    """Make a blocking method a coroutine method of the same signature."""

    @wraps(method)
    async def call(self: InThreads[Blocking], /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        return await self._threads.run(method, self._blocking, *args, **kwargs)

    return call
