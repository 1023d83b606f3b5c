"""How one deployment calls another: deadlines and retries."""

from __future__ import annotations

import asyncio

import pytest

from deployments.serving import retries
from deployments.serving.retries import deadline, with_retries
from pipeline.errors import DeadlineExceeded, EngineBusy, EngineFailed, ReplicaLost
from tests.deployments.serving.replica_errors import LOSSES, from_replica


class Call:
    """Fails with each of `failures` in turn, then gives a text."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.count = 0

    async def __call__(self) -> str:
        self.count += 1
        if self.failures:
            raise self.failures.pop(0)
        return "text"


@pytest.fixture(autouse=True)
def pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(retries, "BUSY_PAUSE_SECONDS", 0.001)


@pytest.mark.parametrize("losses", [0, 1, 3])
async def test_another_attempt_after_a_loss(losses: int) -> None:
    call = Call(*LOSSES[:losses])
    assert await with_retries(call, attempts=4, what="Chunk 7") == "text"
    assert call.count == losses + 1


async def test_an_engine_without_room_is_asked_again() -> None:
    call = Call(EngineBusy("full"), from_replica(EngineBusy("full")))
    assert await with_retries(call, attempts=4, what="Chunk 7") == "text"
    assert call.count == 3
    call = Call(*[EngineBusy("full")] * 2)
    with pytest.raises(EngineBusy):
        await with_retries(call, attempts=2, what="Chunk 7")
    assert call.count == 2


async def test_attempts_are_used_up() -> None:
    call = Call(*LOSSES[:3])
    with pytest.raises(ReplicaLost, match="Chunk 7: a replica was lost 2 times; try again later"):
        await with_retries(call, attempts=2, what="Chunk 7")
    assert call.count == 2


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (from_replica(EngineFailed("refused")), EngineFailed),
        (EngineFailed("refused"), EngineFailed),
        (KeyError(), KeyError),
    ],
)
async def test_no_other_attempt_after_other_errors(failure: Exception, expected: type[Exception]) -> None:
    call = Call(failure)
    with pytest.raises(expected) as caught:
        await with_retries(call, attempts=4, what="Chunk 7")
    assert type(caught.value) is expected
    assert call.count == 1


async def test_a_cancellation_is_no_loss() -> None:
    async def call() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await with_retries(call, attempts=4, what="Chunk 7")


async def test_deadline() -> None:
    with pytest.raises(DeadlineExceeded, match=r"Chunk 7 took more than 0\.01 s and was given up"):
        async with deadline(0.01, "Chunk 7"):
            await asyncio.Event().wait()
    async with deadline(10, "Chunk 7"):
        pass
