"""What vLLM does with its place, without vLLM. In a module of its own, which replicas can import."""

import ray
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy


class FakeEngine:
    """Starts a worker in each bundle of the placement group that it is in itself, as vLLM's Ray executor does."""

    def __init__(self, num_workers: int) -> None:
        group = ray.util.get_current_placement_group()
        assert group is not None and len(group.bundle_specs) == num_workers
        strategies = [PlacementGroupSchedulingStrategy(group, index) for index in range(num_workers)]
        self._workers = [
            _Worker.options(num_cpus=0, num_gpus=1, scheduling_strategy=strategy).remote() for strategy in strategies
        ]

    async def places(self) -> tuple[str, list[tuple[str, int]]]:
        """This replica's node, and each worker's with how many GPUs it has there."""
        workers = [await worker.place.remote() for worker in self._workers]
        return ray.get_runtime_context().get_node_id(), workers


@ray.remote
class _Worker:
    def place(self) -> tuple[str, int]:
        context = ray.get_runtime_context()
        return context.get_node_id(), len(context.get_accelerator_ids()["GPU"])
