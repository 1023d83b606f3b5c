"""Classifies Ray's errors: one of ours inside a wrapper, a lost replica, a cancelled call."""

import asyncio

from ray.exceptions import ObjectLostError, RayActorError, RayTaskError

from pipeline.errors import LongtakeError
from pipeline.isolation.process import WorkAborted

INTERNAL_ERROR = "internal_error"
"""The error type that clients see for any exception but a LongtakeError."""


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
    for _ in range(8):  # causes may form a circle
        if error is None:
            return False
        if isinstance(error, RayActorError | ObjectLostError):
            return True
        error = error.__cause__ or getattr(error, "cause", None)
    return False
