"""`python -m tests.multi_node.labelled_graph MEDIA BODY`: an answer of a graph that labels spread over three nodes.

The last line on stdout is a JSON object: the nodes by their role, the nodes of two deployments, and the answer to BODY.
In a process of its own, because one process connects to one Ray instance at a time.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import ray
from ray import serve
from ray._private.state import actors  # ray.util.state needs a dashboard
from ray.cluster_utils import Cluster
from ray.serve.schema import ServeDeploySchema

from deployments.serving.embedded_server import APPLICATION, SERVE_CONFIG, deploy, load_config

ROLE = "longtake.io/role"
STORE_BYTES = 300 * 1024**2


@contextmanager
def labelled_cluster() -> Iterator[None]:
    """A head without work, a node for decoding and one for the engine."""
    cluster = Cluster(
        initialize_head=True,
        head_node_args={"num_cpus": 2, "labels": {ROLE: "head"}, "object_store_memory": STORE_BYTES},
    )
    try:
        for role in ("decode", "engine"):
            cluster.add_node(num_cpus=2, labels={ROLE: role}, object_store_memory=STORE_BYTES)
        ray.init(address=cluster.address, namespace="serve", log_to_driver=False)
        yield
    finally:
        ray.shutdown()
        cluster.shutdown()


def labelled_config(media: str) -> ServeDeploySchema:
    args = {"sources": {"media_roots": [media]}, "engine_node_labels": {ROLE: "engine"}}
    raw = load_config(SERVE_CONFIG, args).model_dump(exclude_unset=True, mode="json")
    for deployment in raw["applications"][0]["deployments"]:
        if deployment["name"] == "FrameDecoder":
            deployment["ray_actor_options"]["label_selector"] = {ROLE: "decode"}
    return ServeDeploySchema.model_validate(raw)


def ask(url: str, body: dict[str, Any]) -> dict[str, Any]:
    response = httpx.post(f"{url}/v1/analyses", json=body, timeout=120, trust_env=False)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    assert answer["success"] and not answer["partial"]
    return answer


def main(media: str, body: str) -> None:
    with labelled_cluster():
        url = deploy(labelled_config(media))
        report = {
            "answer": ask(url, json.loads(body)),
            "nodes": {node["Labels"][ROLE]: node["NodeID"] for node in ray.nodes()},
            "places": {name: _nodes_of(name) for name in ("FrameDecoder", "VisionLanguageModel")},
        }
        serve.delete(APPLICATION)
    print(json.dumps(report))


def _nodes_of(deployment: str) -> list[str]:
    """Ids of the nodes on which replicas of `deployment` live."""
    return sorted(
        {
            actor["Address"]["NodeID"]
            for actor in actors().values()
            if actor["State"] == "ALIVE" and actor["ActorClassName"] == f"ServeReplica:{APPLICATION}:{deployment}"
        }
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
