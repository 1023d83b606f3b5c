"""Deadlines and retries of calls between deployments."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from deployments.logs import logger
from deployments.serving.ray_errors import crashed_replica, is_replica_loss, own_error
from pipeline.errors import DeadlineExceeded, EngineBusy, ReplicaLost, RequestPoisoned

Result = TypeVar("Result")

FIRST_PAUSE_SECONDS = 0.1
BUSY_PAUSE_SECONDS = 1.0
"""Pause before the first retry of an engine whose queue is full."""
MAX_CRASHED_REPLICAS = 2
"""Replicas that may die while they run one call. Chance kills one; a call that kills two would kill the third."""


@asynccontextmanager
async def deadline(seconds: float, what: str) -> AsyncIterator[None]:
    """Raise DeadlineExceeded if the block takes longer: a call to a deployment without replicas would wait forever."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise DeadlineExceeded(f"{what} took more than {seconds:g} s and was given up; try again later.") from None


async def with_retries(call: Callable[[], Awaitable[Result]], *, attempts: int, what: str) -> Result:
    """Return the result of `call()`, retrying it when a replica was lost or the engine was full.

    Raises the call's own error, RequestPoisoned if two replicas crashed while they ran it, or ReplicaLost after the
    last attempt.
    """
    crashed: set[str] = set()
    for attempt in range(1, attempts + 1):
        try:
            return await call()
        except Exception as error:
            own = own_error(error)
            is_busy = isinstance(own, EngineBusy)
            if not (is_busy and attempt < attempts) and not is_replica_loss(error):
                raise own from error
            logger.warning(
                "%s: attempt %d of %d: %s", what, attempt, attempts, own if is_busy else "a replica was lost"
            )
            if replica := crashed_replica(error):
                crashed.add(replica)
            if len(crashed) >= MAX_CRASHED_REPLICAS:
                logger.error("%s: given up, since it crashed the replicas %s", what, ", ".join(sorted(crashed)))
                raise RequestPoisoned(
                    f"{what}: {len(crashed)} replicas crashed while they worked on it, so it is not tried on another. "
                    "Have the operator look at the server's log before you send it again."
                ) from error
            first_pause_seconds = BUSY_PAUSE_SECONDS if is_busy else FIRST_PAUSE_SECONDS
        if attempt < attempts:
            await asyncio.sleep(first_pause_seconds * 2 ** (attempt - 1))
    raise ReplicaLost(f"{what}: a replica was lost {attempts} times; try again later.")
