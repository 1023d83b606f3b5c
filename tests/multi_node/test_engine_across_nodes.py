"""The place of an engine that spans nodes, on Ray for real with GPUs in name only."""

from __future__ import annotations

import pytest
import ray
from ray import serve
from ray.cluster_utils import Cluster

from deployments.config import AppSettings
from deployments.model_choice import choose_model
from tests.multi_node.fake_engine import FakeEngine

ROLE = "longtake.io/role"
STORE_BYTES = 100 * 1024**2

pytestmark = pytest.mark.own_servers


def test_each_worker_has_a_gpu_of_its_own_on_nodes_with_the_label() -> None:
    settings = AppSettings(
        tensor_parallel_size=2, engine_executor="ray", engine_node_labels={ROLE: "engine"}, served_model_name="any"
    )
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 1, "num_gpus": 4, "object_store_memory": STORE_BYTES}
    )
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=0, num_gpus=1, labels={ROLE: "engine"}, object_store_memory=STORE_BYTES)
        ray.init(address=cluster.address, namespace="serve", log_to_driver=False)
        choice = choose_model(settings, num_gpus=ray.cluster_resources()["GPU"], vllm_has_cuda=True)
        engine = serve.run(
            serve.deployment(FakeEngine, **choice.deployment_options).bind(settings.gpus_per_engine),
            name="engine",
            route_prefix=None,
        )
        own_node, workers = engine.places.remote().result(timeout_s=60)
        labelled = {node["NodeID"] for node in ray.nodes() if node["Labels"].get(ROLE) == "engine"}
        serve.delete("engine")
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert {node for node, _ in workers} == labelled
    assert own_node in labelled
    assert [gpus for _, gpus in workers] == [1, 1]
