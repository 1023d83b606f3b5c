"""Routes a chunk to the engine that has it in its prefix cache, if that engine has room."""

# No `from __future__ import annotations`: the router's base class does without.

import hashlib
import random
from collections import Counter
from typing import Any

from ray.serve.request_router import PendingRequest, ReplicaID, RequestRouter, RunningReplica


class ChunkAffinityRouter(RequestRouter):  # type: ignore[misc]  # Ray is half typed
    """Sends calls with the same `session_id` to the same engine.

    Each key ranks the engines by a hash of both. So the chunks of a film spread over all engines, every Orchestrator
    computes the same ranking, and an engine that joins or leaves moves no chunks but its own. A full engine is skipped,
    and so is one with more than `max_lead` calls above the idlest.

    Serve's own ConsistentHashRouter hangs here: it identifies calls by the request that made them, and an analysis
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
        """Return engines in the order in which to try them."""
        key, lead = str(random.random()), 0  # without a session: a random one of the idlest
        if pending_request is not None:
            pending_request.routing_context.should_backoff = True  # if all are full
            if pending_request.metadata.session_id:
                key, lead = pending_request.metadata.session_id, self._max_lead
        ranked = sorted(candidate_replicas, key=lambda replica: _rank(key, replica.replica_id))
        under_way = {replica.replica_id: self._num_under_way(replica.replica_id) for replica in ranked}
        most = min(under_way.values(), default=0) + lead
        near = [[replica] for replica in ranked if under_way[replica.replica_id] <= most]
        return near + [[replica] for replica in ranked if under_way[replica.replica_id] > most]

    def _num_under_way(self, replica_id: ReplicaID) -> int:
        """Return the calls that this router sent to an engine, or more if the engine reported more: others send too.

        Serve's own count alone is too low in a burst: it drops to the number that the engine reported last.
        """
        reported = self.replica_queue_len_cache.get(replica_id)
        if reported is None:
            # Without an entry Serve probes the engine first, and skips it if it is too busy to answer within 0.1 s.
            # An engine that turns out to be full refuses the call, and the next is tried.
            self.replica_queue_len_cache.update(replica_id, self._assigned[replica_id])
        return max(self._assigned[replica_id], reported or 0)

    def on_request_completed(self, replica_id: ReplicaID, internal_request_id: str) -> None:
        """Called by Serve once for each assigned call, however it ended."""
        self._assigned -= Counter([replica_id])

    # The base class identifies calls by an id that all calls of one request share. It uses that id in these three
    # methods alone, which are not public (Ray 2.60).

    def _add_pending_request_to_indices(self, pending_request: PendingRequest) -> None:
        self._waiting[id(pending_request.metadata)] = pending_request

    def _remove_pending_request_from_indices(self, pending_request: PendingRequest) -> None:
        was_waiting = self._waiting.pop(id(pending_request.metadata), None) is not None
        if pending_request.future.cancelled():
            return
        assigned = Counter([pending_request.future.result().replica_id])
        # Called again for a call that was cancelled between its assignment and its sending.
        self._assigned = self._assigned + assigned if was_waiting else self._assigned - assigned

    def _get_pending_request_matching_internal_request_id(self, request_metadata: Any = None) -> PendingRequest | None:
        waiting = self._waiting.get(id(request_metadata))
        return None if waiting is None or waiting.future.done() else waiting


def _rank(key: str, replica_id: ReplicaID) -> bytes:
    return hashlib.blake2b(f"{key} {replica_id.unique_id}".encode(), digest_size=8).digest()
