"""Errors as they arrive from another replica."""

from __future__ import annotations

import pickle

from ray.core.generated.common_pb2 import ActorDiedErrorContext
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
ACTOR_ID_BYTES = 16


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


def died(replica: int, reason: str = "its worker process has died. Worker exit type: SYSTEM_ERROR") -> ActorDiedError:
    """What a call gets whose replica, one of several, died meanwhile."""
    context = ActorDiedErrorContext(
        actor_id=bytes([replica]) * ACTOR_ID_BYTES,
        class_name="ServeReplica:longtake:Chunker",
        error_message=f"The actor is dead because {reason}",
    )
    return ActorDiedError(context)


STOPPED = [
    died(1, "it was killed by `ray.kill`."),
    died(1, "all references to the actor were removed."),
    died(1, "its owner has died. Owner Id: 1"),
    died(1, "the actor died because its node has died. Node Id: 1"),
    ActorUnavailableError("gone for now", b"1" * ACTOR_ID_BYTES),
    ObjectLostError(OBJECT, "10.0.0.7", ""),
    RayActorError(),
    ActorDiedError(),
    ValueError("a defect of ours"),
    None,
]
"""None of them means that a replica died of the call."""
