"""Blocking methods as coroutines."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time

import pytest

from pipeline.threads import InThreads, Threads, in_thread

WHO = contextvars.ContextVar[str]("WHO")


class Counter:
    def __init__(self) -> None:
        self.count = 0

    def add(self, number: int, *, times: int = 1) -> int:
        """Add."""
        self.count += number * times
        return self.count

    def fail(self) -> None:
        raise ZeroDivisionError("in a thread")


class AsyncCounter(InThreads[Counter]):
    add = in_thread(Counter.add)
    fail = in_thread(Counter.fail)


async def test_a_method_runs_in_a_thread() -> None:
    counter = Counter()
    face = AsyncCounter(counter, Threads("counter", max_threads=1))
    assert await face.add(2, times=3) == 6
    assert (counter.count, AsyncCounter.add.__doc__) == (6, "Add.")
    with pytest.raises(ZeroDivisionError):
        await face.fail()


async def test_threads_are_bounded_and_named() -> None:
    threads = Threads("few", max_threads=3)
    most = active = 0
    lock = threading.Lock()

    def work() -> str:
        nonlocal most, active
        with lock:
            active += 1
            most = max(most, active)
        time.sleep(0.01)
        with lock:
            active -= 1
        return threading.current_thread().name

    names = await asyncio.gather(*(threads.run(work) for _ in range(20)))
    assert set(names) == {"few_0", "few_1", "few_2"} and most == 3


async def test_context_variables_go_along() -> None:
    WHO.set("me")
    assert await Threads("context", max_threads=1).run(WHO.get) == "me"
