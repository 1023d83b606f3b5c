"""Which of several engines a chunk is asked of: the one that looked at it before, where that one has room."""

# No `from __future__ import annotations`: the router's base class does without.

import hashlib
import random
from collections import Counter
from typing import Any

from ray.serve.request_router import PendingRequest, ReplicaID, RequestRouter, RunningReplica


class ChunkAffinityRouter(RequestRouter):  # type: ignore[misc]  # Ray is half typed
    """Sends calls with the same `session_id` to the same engine.

    Each key ranks the engines by a hash of both, so that the chunks of a film spread over all of them, every
    Orchestrator ranks alike, and an engine that comes or goes takes nothing but its own share. The first is passed by
    while it is full, or has more than `max_lead` calls more under way than the idlest.

    Serve's own ConsistentHashRouter hangs here: it tells calls apart by the request that made them, and an analysis
    makes many at once. FIFOMixin, which cures that, gives the engine that was chosen for one chunk to another.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._max_lead = 0
        self._waiting: dict[int, PendingRequest] = {}
        self._assigned: Counter[ReplicaID] = Counter()

    def initialize_state(self, *, max_lead: int) -> None:
        """Called by Serve with `request_router_kwargs`."""
        self._max_lead = max_lead

    async def choose_replicas(
        self, candidate_replicas: list[RunningReplica], pending_request: PendingRequest | None = None
    ) -> list[list[RunningReplica]]:
        """Engines in the order in which they are tried."""
        key, lead = str(random.random()), 0  # without one: the idlest, and one of them where several are
        if pending_request is not None:
            pending_request.routing_context.should_backoff = True  # where all are full
            if pending_request.metadata.session_id:
                key, lead = pending_request.metadata.session_id, self._max_lead
        ranked = sorted(candidate_replicas, key=lambda replica: _rank(key, replica.replica_id))
        under_way = {replica.replica_id: self._num_under_way(replica.replica_id) for replica in ranked}
        most = min(under_way.values(), default=0) + lead
        near = [[replica] for replica in ranked if under_way[replica.replica_id] <= most]
        return near + [[replica] for replica in ranked if under_way[replica.replica_id] > most]

    def _num_under_way(self, replica_id: ReplicaID) -> int:
        """What this router sent there, or more where the engine told so: others send to it too.

        Serve's own count alone is too low in a burst: it falls to what an engine had when it took the last call.
        """
        told = self.replica_queue_len_cache.get(replica_id)
        if told is None:
            # Without an entry Serve asks the engine first, and passes by one that is too busy to answer within 0.1 s.
            # One that turns out to be full refuses the call, and the next is tried.
            self.replica_queue_len_cache.update(replica_id, self._assigned[replica_id])
        return max(self._assigned[replica_id], told or 0)

    def on_request_completed(self, replica_id: ReplicaID, internal_request_id: str) -> None:
        """Called by Serve once for each call that was assigned, however it ended."""
        self._assigned -= Counter([replica_id])

    # What the base class tells calls apart by is shared by all calls that one request makes. These three, which are no
    # public interface, are all that it does with it (Ray 2.60).

    def _add_pending_request_to_indices(self, pending_request: PendingRequest) -> None:
        self._waiting[id(pending_request.metadata)] = pending_request

    def _remove_pending_request_from_indices(self, pending_request: PendingRequest) -> None:
        was_waiting = self._waiting.pop(id(pending_request.metadata), None) is not None
        if pending_request.future.cancelled():
            return
        assigned = Counter([pending_request.future.result().replica_id])
        # Again for one that was given up between its assignment and its sending.
        self._assigned = self._assigned + assigned if was_waiting else self._assigned - assigned

    def _get_pending_request_matching_internal_request_id(self, request_metadata: Any = None) -> PendingRequest | None:
        waiting = self._waiting.get(id(request_metadata))
        return None if waiting is None or waiting.future.done() else waiting


def _rank(key: str, replica_id: ReplicaID) -> bytes:
    return hashlib.blake2b(f"{key} {replica_id.unique_id}".encode(), digest_size=8).digest()
