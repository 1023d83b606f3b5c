"""Ray's errors as Longtake classifies them: our own error inside a wrapper, a lost replica, a cancelled call."""

import asyncio

from ray.exceptions import ObjectLostError, RayActorError, RayTaskError

from pipeline.errors import LongtakeError
from pipeline.isolation.process import WorkAborted

INTERNAL_ERROR = "internal_error"
"""The type, for clients, of a failure that is no LongtakeError."""


def own_error(error: Exception) -> Exception:
    """What was raised in the replica. Ray's wrapper of it names the host's address and holds a traceback."""
    if isinstance(error, RayTaskError) and isinstance(error.cause, LongtakeError):
        return error.cause
    return error


def error_type(error: BaseException) -> str:
    """For clients, metrics and traces: which error it is, without its text."""
    own = own_error(error) if isinstance(error, Exception) else error
    return own.type_name() if isinstance(own, LongtakeError) else INTERNAL_ERROR


def is_cancellation(error: BaseException) -> bool:
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
