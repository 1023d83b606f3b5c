"""Limits on bytes in flight and on concurrent work, also when tasks are cancelled or fail."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import pytest

from pipeline.concurrency import ByteBudget, run_windowed


@asynccontextmanager
async def running(*coroutines) -> AsyncIterator[list[asyncio.Task]]:
    """Tasks that have all begun, in this order; those still under way are cancelled in the end."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    await settled()
    yield tasks
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


class Holders:
    """Reservations of one budget, each held until it is let go."""

    def __init__(self, capacity_bytes: int) -> None:
        self.budget = ByteBudget(capacity_bytes)
        self.entered: list[str] = []
        self.inside: dict[str, int] = {}
        self._let_go: dict[str, asyncio.Event] = {}

    async def hold(self, name: str, num_bytes: int) -> None:
        self._let_go[name] = asyncio.Event()
        async with self.budget.reserved(num_bytes):
            self.entered.append(name)
            self.inside[name] = num_bytes
            try:
                await self._let_go[name].wait()
            finally:
                del self.inside[name]

    async def let_go(self, name: str) -> None:
        self._let_go[name].set()
        await settled()

    async def assert_all_free(self) -> None:
        async with asyncio.timeout(1), self.budget.reserved(self.budget.capacity_bytes):
            pass


async def test_bytes_in_flight_stay_within_the_capacity() -> None:
    holders = Holders(100)
    names = [f"{number}" for number in range(20)]
    async with running(*(holders.hold(name, 30) for name in names)):
        for name in names:
            assert sum(holders.inside.values()) == holders.budget.held_bytes <= 100
            assert name in holders.inside
            await holders.let_go(name)
    assert holders.entered == names
    assert holders.budget.held_bytes == 0
    await holders.assert_all_free()


async def test_a_large_reservation_is_not_overtaken() -> None:
    holders = Holders(100)
    async with running(holders.hold("first", 60), holders.hold("large", 80), holders.hold("small", 10)):
        assert list(holders.inside) == ["first"]
        await holders.let_go("first")
        assert list(holders.inside) == ["large", "small"]


async def test_a_reservation_above_the_capacity_has_it_to_itself() -> None:
    holders = Holders(100)
    async with running(holders.hold("small", 1), holders.hold("huge", 1000), holders.hold("next", 1)):
        assert list(holders.inside) == ["small"]
        await holders.let_go("small")
        assert list(holders.inside) == ["huge"]
        await holders.let_go("huge")
        assert list(holders.inside) == ["next"]
    await holders.assert_all_free()


async def test_a_cancelled_holder_gives_its_bytes_back() -> None:
    holders = Holders(100)
    async with running(holders.hold("first", 100), holders.hold("second", 100)) as tasks:
        tasks[0].cancel()
        await settled()
        assert list(holders.inside) == ["second"]
    await holders.assert_all_free()


async def test_a_cancelled_waiter_lets_the_next_pass() -> None:
    holders = Holders(100)
    async with running(holders.hold("a", 50), holders.hold("b", 100), holders.hold("c", 50)) as tasks:
        tasks[1].cancel()
        await settled()
        assert list(holders.inside) == ["a", "c"]
    await holders.assert_all_free()


async def test_holder_and_waiters_cancelled_in_one_moment() -> None:
    holders = Holders(100)
    async with running(*(holders.hold(name, 100) for name in "abc")) as tasks:
        for task in tasks:
            task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError] * 3
    await holders.assert_all_free()


async def test_a_waiter_cancelled_as_its_turn_comes() -> None:
    holders = Holders(100)
    async with running(holders.hold("a", 100), holders.hold("b", 100), holders.hold("c", 100)) as tasks:
        holders._let_go["a"].set()
        while holders.inside:  # noqa: ASYNC110 - up to the very step in which a leaves, and b is granted its turn
            await asyncio.sleep(0)
        tasks[1].cancel()
        await settled()
        assert list(holders.inside) == ["c"]
    await holders.assert_all_free()


async def test_an_exception_gives_the_bytes_back() -> None:
    holders = Holders(100)
    with pytest.raises(ZeroDivisionError):
        async with holders.budget.reserved(100):
            raise ZeroDivisionError
    await holders.assert_all_free()


async def test_window_bounds_what_is_under_way() -> None:
    under_way, most = 0, 0

    async def work(item: int) -> int:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001 * (item % 3))
        under_way -= 1
        return item

    results = [result async for result in run_windowed(range(20), work, window=3)]
    assert most == 3
    assert sorted(results) == list(range(20))


async def test_items_begin_in_order_and_results_come_as_they_are_ready() -> None:
    begun: list[int] = []

    async def work(item: int) -> int:
        begun.append(item)
        await asyncio.sleep(0.05 if item == 0 else 0)
        return item

    results = [result async for result in run_windowed(range(4), work, window=2)]
    assert begun == [0, 1, 2, 3]
    assert results == [1, 2, 3, 0]


async def test_items_are_taken_only_as_the_window_moves() -> None:
    taken: list[int] = []

    def items():
        for item in range(100):
            taken.append(item)
            yield item

    async def work(item: int) -> int:
        return item

    async with aclosing(run_windowed(items(), work, window=2)) as results:
        await anext(results)
        assert len(taken) == 2


class Ended:
    """Work that never ends by itself, and notes how it ended."""

    def __init__(self) -> None:
        self.cancelled: list[int] = []

    async def work(self, item: int) -> int:
        if item == 0:
            await asyncio.sleep(0.001)
            return item
        if item < 0:
            await asyncio.sleep(0.001)
            raise ZeroDivisionError
        try:
            await asyncio.Event().wait()
        finally:
            self.cancelled.append(item)
        raise AssertionError


async def test_an_exception_cancels_the_others_and_waits_for_their_end() -> None:
    ended = Ended()
    with pytest.raises(ZeroDivisionError):
        async for _ in run_windowed([1, -1, 2, 3], ended.work, window=3):
            pass
    assert sorted(ended.cancelled) == [1, 2]


async def test_closing_cancels_what_is_under_way() -> None:
    ended = Ended()
    async with aclosing(run_windowed([0, 1, 2, 3], ended.work, window=3)) as results:
        assert await anext(results) == 0
    assert sorted(ended.cancelled) == [1, 2]


async def test_cancelling_the_reader_cancels_what_is_under_way() -> None:
    ended = Ended()

    async def read() -> None:
        async for _ in run_windowed([1, 2], ended.work, window=3):
            pass

    async with running(read()) as [reader]:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        assert sorted(ended.cancelled) == [1, 2]


async def test_nothing_to_do() -> None:
    assert [result async for result in run_windowed([], Ended().work, window=3)] == []


async def test_cancelled_analysis_leaves_the_budget_whole() -> None:
    """As an Orchestrator has it: a window of chunks over a budget that other analyses share."""
    holders = Holders(100)

    async def read() -> None:
        async for _ in run_windowed("abcdef", lambda name: holders.hold(name, 60), window=4):
            pass

    async with running(read()) as [reader]:
        assert list(holders.inside) == ["a"]
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
    await holders.assert_all_free()
