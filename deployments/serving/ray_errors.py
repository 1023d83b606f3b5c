"""Classifies Ray's errors: one of ours inside a wrapper, a lost replica, a cancelled call."""

import asyncio
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from ray.exceptions import ActorDiedError, ObjectLostError, RayActorError, RayTaskError

from pipeline.errors import LongtakeError
from pipeline.isolation.process import WorkAborted
from pipeline.unicode import encodable

INTERNAL_ERROR = "internal_error"
"""The error type that clients see for any exception but a LongtakeError."""
_STOPPED_BY_OTHERS = ("killed by `ray.kill`", "its node has died", "its owner has died", "references to the actor")
"""Ray's words for actors that did not die of what they were doing. Serve uses `ray.kill` for unhealthy replicas."""
_MAX_CAUSES = 8
"""Causes may form a circle."""


def own_error(error: Exception) -> Exception:
    """Return the error that the replica raised. Ray's wrapper around it holds the host's address and a traceback."""
    if isinstance(error, RayTaskError) and isinstance(error.cause, LongtakeError):
        return error.cause
    return error


def error_type(error: BaseException) -> str:
    """Return the type of an error for clients, metrics and traces, without its text."""
    own = own_error(error) if isinstance(error, Exception) else error
    return own.type_name() if isinstance(own, LongtakeError) else INTERNAL_ERROR


def is_cancellation(error: BaseException) -> bool:
    """Whether work ended because its caller no longer needs it."""
    return isinstance(error, asyncio.CancelledError | GeneratorExit | WorkAborted)


def is_replica_loss(error: BaseException | None) -> bool:
    """Whether a replica died, or a result was lost with it.

    A death in the middle of a chained call arrives as a RayServeException from RayTaskError(ActorDiedError).
    """
    return any(isinstance(cause, RayActorError | ObjectLostError) for cause in _causes(error))


def crashed_replica(error: BaseException) -> str | None:
    """Return the id of the replica whose process died while it ran the call, or None.

    Unlike a replica that was stopped, unavailable or lost with its node, it may have died of the call itself.
    """
    for cause in _causes(error):
        if isinstance(cause, ActorDiedError):
            is_stopped = cause.preempted or cause.actor_init_failed
            is_stopped = is_stopped or any(words in cause.error_msg for words in _STOPPED_BY_OTHERS)
            return None if is_stopped else cause.actor_id
    return None


class UnencodableError(Exception):
    """Stands for an exception whose text or traceback is not valid Unicode, with that text escaped."""


@contextmanager
def encodable_errors() -> Iterator[None]:
    """Replace an exception that leaves the block if its traceback is not valid Unicode.

    Ray encodes the traceback, causes included, as UTF-8. If it cannot, the replica's process dies.
    """
    try:
        yield
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        if encodable(text) == text:
            raise
        own = own_error(error)
        if isinstance(own, LongtakeError):
            raise type(own)(own.message, param=own.param) from None
        raise UnencodableError(encodable(text)) from None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and the errors that caused it."""
    for _ in range(_MAX_CAUSES):
        if error is None:
            return
        yield error
        error = error.__cause__ or getattr(error, "cause", None)
