"""Errors as they arrive from another replica."""

from __future__ import annotations

import pickle

from ray.exceptions import (
    ActorDiedError,
    ActorUnavailableError,
    ObjectLostError,
    OwnerDiedError,
    RayActorError,
    RayTaskError,
)
from ray.serve.exceptions import RayServeException

from pipeline.errors import EngineFailed

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
