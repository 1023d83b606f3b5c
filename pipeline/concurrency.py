"""Bound how much of an analysis runs at once. Plain asyncio."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class ByteBudget:
    """A budget of bytes in flight, granted in order of arrival.

    Ray's object store has no admission control: 16 concurrent arrays of 100 MB in a store of 450 MB spilled 2.1 GB and
    took three times as long.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self.capacity_bytes = capacity_bytes
        self._free_bytes = capacity_bytes
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def held_bytes(self) -> int:
        return self.capacity_bytes - self._free_bytes

    @asynccontextmanager
    async def reserved(self, num_bytes: int) -> AsyncIterator[None]:
        """Hold `num_bytes`, once they are free. A reservation above the capacity takes all of it."""
        held = min(num_bytes, self.capacity_bytes)
        await self._acquire(held)
        try:
            yield
        finally:
            self._free_bytes += held
            self._wake()

    async def _acquire(self, num_bytes: int) -> None:
        if not self._waiting and num_bytes <= self._free_bytes:
            self._free_bytes -= num_bytes
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((num_bytes, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # granted at the moment of the cancellation
                self._free_bytes += num_bytes
            elif (num_bytes, turn) in self._waiting:
                self._waiting.remove((num_bytes, turn))
            self._wake()
            raise

    def _wake(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free_bytes:
            num_bytes, turn = self._waiting.popleft()
            if turn.cancelled():  # its task has not run yet
                continue
            self._free_bytes -= num_bytes
            turn.set_result(None)


async def run_windowed(
    items: Iterable[Item], work: Callable[[Item], Awaitable[Result]], *, window: int
) -> AsyncIterator[Result]:
    """Run `work` on each item, at most `window` at a time and started in order; yield results as they arrive.

    Closing the iterator, or an exception in `work`, cancels the running work and waits for its end.
    """
    rest = iter(items)
    running: set[asyncio.Task[Result]] = set()
    try:
        while True:
            while len(running) < window and (item := next(rest, _END)) is not _END:
                running.add(asyncio.ensure_future(work(item)))  # type: ignore[arg-type]
            if not running:
                return
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                yield task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


_END = object()
