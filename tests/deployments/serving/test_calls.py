"""How one deployment calls another, with the errors that Ray itself makes."""

from __future__ import annotations

import asyncio
import pickle

import pytest
from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    ObjectLostError,
    OwnerDiedError,
    RayActorError,
    RayTaskError,
)
from ray.serve.exceptions import RayServeException

from deployments.serving import calls
from deployments.serving.calls import deadline, with_retries
from deployments.serving.ray_errors import is_replica_loss, own_error
from deployments.serving.text_relay import TextRelay, relayed
from pipeline.errors import DeadlineExceeded, EngineBusy, EngineFailed, InvalidRequest, LongtakeError, ReplicaLost

TRACEBACK = "Traceback ... File '/home/operator/secret.py' pid=123, ip=10.0.0.7"
OBJECT = "f" * 56


def from_replica(cause: Exception) -> Exception:
    """`cause` as it arrives here after it was raised in a replica."""
    wrapped: RayTaskError = pickle.loads(pickle.dumps(RayTaskError("answer", TRACEBACK, cause)))
    error: Exception = wrapped.as_instanceof_cause()
    return error


def chained(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


LOSSES = [
    RayActorError(),
    ActorDiedError(),
    ActorUnavailableError("gone for now", b"0" * 16),
    ObjectLostError(OBJECT, "10.0.0.7", ""),
    OwnerDiedError(OBJECT, "10.0.0.7", ""),
    from_replica(ActorDiedError()),
    # A replica that dies in the middle of a chained call.
    chained(RayServeException("a request failed"), RayTaskError("decode", TRACEBACK, ActorDiedError())),
]
OTHERS = [
    ValueError("a defect of ours"),
    RayServeException("overloaded"),
    from_replica(EngineFailed("refused")),
    from_replica(ValueError("a defect of ours")),
    TimeoutError(),
    None,
]


@pytest.mark.parametrize("error", LOSSES, ids=lambda error: type(error).__name__)
def test_losses(error: Exception) -> None:
    assert is_replica_loss(error)


@pytest.mark.parametrize("error", OTHERS, ids=lambda error: type(error).__name__)
def test_what_is_no_loss(error: Exception | None) -> None:
    assert not is_replica_loss(error)


def test_causes_in_a_circle() -> None:
    first, second = ValueError(), ValueError()
    first.__cause__, second.__cause__ = second, first
    assert not is_replica_loss(first)


@pytest.mark.parametrize("error", [EngineFailed("refused", param="prompt"), InvalidRequest("fps is 0", param="fps")])
def test_an_error_of_ours_loses_rays_wrapper(error: LongtakeError) -> None:
    arrived = from_replica(error)
    assert "ip=" in str(arrived)
    own = own_error(arrived)
    assert type(own) is type(error)
    assert isinstance(own, LongtakeError)
    assert (str(own), own.param) == (error.message, error.param)


def test_other_errors_stay_as_they_are() -> None:
    for error in (ValueError(), from_replica(ValueError())):
        assert own_error(error) is error


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
    monkeypatch.setattr(calls, "FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(calls, "BUSY_PAUSE_SECONDS", 0.001)


@pytest.mark.parametrize("losses", [0, 1, 3])
async def test_another_attempt_after_a_loss(losses: int) -> None:
    call = Call(*LOSSES[:losses])
    assert await with_retries(call, attempts=4, what="Chunk 7") == ("text", losses + 1)
    assert call.count == losses + 1


async def test_an_engine_without_room_is_asked_again() -> None:
    call = Call(EngineBusy("full"), from_replica(EngineBusy("full")))
    assert await with_retries(call, attempts=4, what="Chunk 7") == ("text", 3)
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


# --- Text that is passed on while it is written -----------------------------------------------------------------------


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
