"""Text that is passed on while it is written."""

from __future__ import annotations

import asyncio

import pytest

from deployments.serving.text_relay import TextRelay, relayed
from pipeline.errors import EngineFailed, ReplicaLost


@pytest.fixture
def passed_on() -> list[str]:
    return []


@pytest.fixture
def relay(passed_on: list[str]) -> TextRelay:
    return TextRelay(passed_on.append)


def test_pieces_are_passed_on(relay: TextRelay, passed_on: list[str]) -> None:
    for piece in ("A cat ", "sits", "."):
        relay.write(piece)
    assert passed_on == ["A cat ", "sits", "."]


def test_a_second_attempt_goes_on_where_the_first_ended(relay: TextRelay, passed_on: list[str]) -> None:
    relay.write("A cat sits")
    relay.restart()
    for piece in ("A ", "cat ", "sits on", " a mat."):
        relay.write(piece)
    assert passed_on == ["A cat sits", " on", " a mat."]


def test_a_second_attempt_that_writes_something_else(relay: TextRelay, passed_on: list[str]) -> None:
    relay.write("A cat sits")
    relay.restart()
    with pytest.raises(ReplicaLost, match="came out differently"):
        relay.write("A dog runs away")
    assert passed_on == ["A cat sits"]


async def test_relayed_gives_pieces_then_the_result() -> None:
    async def work(relay: TextRelay) -> int:
        for piece in ("a", "b"):
            relay.write(piece)
            await asyncio.sleep(0)
        return 42

    assert [piece async for piece in relayed(work)] == ["a", "b", 42]


async def test_relayed_raises_after_the_pieces() -> None:
    async def work(relay: TextRelay) -> int:
        relay.write("a")
        raise EngineFailed("refused")

    pieces = relayed(work)
    assert await anext(pieces) == "a"
    with pytest.raises(EngineFailed):
        await anext(pieces)


async def test_closing_ends_the_work() -> None:
    ended = asyncio.Event()

    async def work(relay: TextRelay) -> int:
        relay.write("a")
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return 0

    pieces = relayed(work)
    assert await anext(pieces) == "a"
    await pieces.aclose()
    async with asyncio.timeout(1):
        await ended.wait()
