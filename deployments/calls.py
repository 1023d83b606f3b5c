"""How one deployment calls another: deadlines, second attempts, text that is passed on while it is written."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from ray.exceptions import ObjectLostError, RayActorError, RayTaskError

from pipeline.errors import DeadlineExceeded, EngineBusy, EngineFailed, LongtakeError, ReplicaLost
from pipeline.isolation import WorkAborted
from pipeline.types import TextDelta

logger = logging.getLogger("ray.serve")

Result = TypeVar("Result")

FIRST_PAUSE_SECONDS = 0.1
BUSY_PAUSE_SECONDS = 1.0
"""The first one after which an engine with a full queue is asked again."""
INTERNAL_ERROR = "internal_error"
"""The type, for clients, of a failure that is no LongtakeError."""


@asynccontextmanager
async def deadline(seconds: float, what: str) -> AsyncIterator[None]:
    """Raises DeadlineExceeded when the block takes longer: a call to a deployment without replicas waits for ever."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise DeadlineExceeded(f"{what} took more than {seconds:g} s and was given up; try again later.") from None


async def with_retries(call: Callable[[], Awaitable[Result]], *, attempts: int, what: str) -> tuple[Result, int]:
    """What `call()` gives, and in which attempt. Another attempt is made where a replica was lost, or had no room.

    Raises the call's own error, or ReplicaLost when the attempts are used up.
    """
    for attempt in range(1, attempts + 1):
        try:
            return await call(), attempt
        except Exception as error:
            own = own_error(error)
            is_busy = isinstance(own, EngineBusy)
            if not (is_busy and attempt < attempts) and not is_replica_loss(error):
                raise own from error
            logger.warning(
                "%s: attempt %d of %d: %s", what, attempt, attempts, own if is_busy else "a replica was lost"
            )
            first_pause_seconds = BUSY_PAUSE_SECONDS if is_busy else FIRST_PAUSE_SECONDS
        if attempt < attempts:
            await asyncio.sleep(first_pause_seconds * 2 ** (attempt - 1))
    raise ReplicaLost(f"{what}: a replica was lost {attempts} times; try again later.")


def own_error(error: Exception) -> Exception:
    """What was raised in the replica. Ray's wrapper of it names the host's address and holds a traceback."""
    if isinstance(error, RayTaskError) and isinstance(error.cause, LongtakeError):
        return error.cause
    return error


def error_type(error: BaseException) -> str:
    """For clients, metrics and traces: which error it is, without its text."""
    own = own_error(error) if isinstance(error, Exception) else error
    return own.type_name() if isinstance(own, LongtakeError) else INTERNAL_ERROR


def is_given_up(error: BaseException) -> bool:
    """Whether work ended because nobody wants it any more."""
    return isinstance(error, asyncio.CancelledError | GeneratorExit | WorkAborted)


def is_replica_loss(error: BaseException | None) -> bool:
    """Whether a replica died, or took a result with it.

    A death in the middle of a chained call arrives as RayServeException from RayTaskError(ActorDiedError).
    """
    for _ in range(8):  # causes could form a circle
        if error is None:
            return False
        if isinstance(error, RayActorError | ObjectLostError):
            return True
        error = error.__cause__ or getattr(error, "cause", None)
    return False


class TextRelay:
    """Passes a text on while it is written, across attempts.

    A second attempt writes the text again, by the same seed; only what was not passed on yet is passed on.
    """

    def __init__(self, pass_on: Callable[[str], None]) -> None:
        self._pass_on = pass_on
        self._sent = ""
        self._written = ""

    def restart(self) -> None:
        self._written = ""

    def write(self, text: str) -> None:
        """Raises ReplicaLost when this attempt's text departs from what was passed on before."""
        self._written += text
        if len(self._written) <= len(self._sent):
            return
        self._check_same()
        self._pass_on(self._written[len(self._sent) :])
        self._sent = self._written

    def finish(self) -> None:
        """Says that the text is whole. Raises ReplicaLost when it is shorter than what was passed on."""
        self._check_same()

    def _check_same(self) -> None:
        if not self._written.startswith(self._sent):
            raise ReplicaLost("A replica was lost while the answer was written, and it came out differently then.")


async def end_of(pieces: AsyncIterator[TextDelta | Result], pass_on: Callable[[str], None] = lambda _: None) -> Result:
    """The end of a text that comes in pieces, each of which is passed on. Raises EngineFailed when it has none."""
    async for piece in pieces:
        if not isinstance(piece, TextDelta):
            return piece
        pass_on(piece.text)
    raise EngineFailed("The engine's text had no end; try again.")


async def relay_through(relay: TextRelay, pieces: AsyncIterator[TextDelta | Result]) -> Result:
    """Writes one attempt's text to `relay` and gives its end."""
    relay.restart()
    end = await end_of(pieces, relay.write)
    relay.finish()
    return end


async def relayed(work: Callable[[TextRelay], Awaitable[Result]]) -> AsyncIterator[str | Result]:
    """The pieces that `work` writes to its relay, as they come, then its result."""
    pieces: asyncio.Queue[str | None] = asyncio.Queue()
    task = asyncio.ensure_future(work(TextRelay(pieces.put_nowait)))
    task.add_done_callback(lambda _: pieces.put_nowait(None))
    try:
        while (piece := await pieces.get()) is not None:
            yield piece
        yield await task
    finally:
        task.cancel()
