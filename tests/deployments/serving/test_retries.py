"""How one deployment calls another: deadlines and retries."""

from __future__ import annotations

import asyncio
import logging

import pytest
from ray.exceptions import ObjectLostError
from ray.serve.exceptions import RayServeException

from deployments.serving import retries
from deployments.serving.retries import deadline, with_retries
from pipeline.errors import DeadlineExceeded, EngineBusy, EngineFailed, ReplicaLost, RequestPoisoned
from tests.deployments.serving.replica_errors import LOSSES, OBJECT, STOPPED, chained, died, from_replica


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


# --- Poison -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("between", [[], [EngineBusy("full")], [ObjectLostError(OBJECT, "10.0.0.7", "")]])
async def test_two_crashed_replicas_are_enough(between: list[Exception], caplog: pytest.LogCaptureFixture) -> None:
    call = Call(died(1), *between, chained(RayServeException("a request failed"), died(2)), died(3))
    with caplog.at_level(logging.ERROR), pytest.raises(RequestPoisoned, match="Chunk 7: 2 replicas crashed"):
        await with_retries(call, attempts=4, what="Chunk 7")
    assert call.count == 2 + len(between)
    assert "01" * 16 in caplog.text and "02" * 16 in caplog.text


async def test_poison_is_named_even_at_the_last_attempt() -> None:
    with pytest.raises(RequestPoisoned):
        await with_retries(Call(died(1), died(2)), attempts=2, what="Chunk 7")


@pytest.mark.parametrize("losses", [[died(1)] * 3, [died(1), *STOPPED[:2]], [died(1), *STOPPED[4:6]]])
async def test_other_losses_are_no_poison(losses: list[Exception]) -> None:
    """Two calls to one replica that has died, or replicas that were stopped."""
    call = Call(*losses)
    assert await with_retries(call, attempts=4, what="Chunk 7") == "text"
    assert call.count == len(losses) + 1
