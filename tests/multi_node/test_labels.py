"""Decoders and engine on nodes of their own, chosen by label: the answers are those of one node."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import ray
from ray import serve
from ray._private.state import actors  # ray.util.state needs a dashboard
from ray.cluster_utils import Cluster
from ray.serve.schema import ServeDeploySchema

from deployments.serving.embedded_server import APPLICATION, SERVE_CONFIG, deploy, embedded_server, load_config
from tests.real_clips import real_clips

ROLE = "longtake.io/role"
STORE_BYTES = 300 * 1024**2
BODY = {
    "prompt": "What happens?",
    "video_path": str(real_clips()[0]),
    "chunk_duration": 2,
    "chunk_overlap": 0,
    "max_tokens": 12,
    "temperature": 0,
    "seed": 1,
}
ARGS = {"sources": {"media_roots": [str(real_clips()[0].parent)]}, "engine_node_labels": {ROLE: "engine"}}


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


def labelled_config() -> ServeDeploySchema:
    raw = load_config(SERVE_CONFIG, ARGS).model_dump(exclude_unset=True, mode="json")
    for deployment in raw["applications"][0]["deployments"]:
        if deployment["name"] == "FrameDecoder":
            deployment["ray_actor_options"]["label_selector"] = {ROLE: "decode"}
    return ServeDeploySchema.model_validate(raw)


@pytest.fixture(scope="module")
def single_node_answer() -> dict[str, Any]:
    with embedded_server({"sources": ARGS["sources"]}) as url:
        return _ask(url)


def test_the_answers_are_the_same_and_the_work_is_where_the_labels_say(single_node_answer: dict[str, Any]) -> None:
    with labelled_cluster():
        url = deploy(labelled_config())
        answer = _ask(url)
        nodes = {node["Labels"][ROLE]: node["NodeID"] for node in ray.nodes()}
        places = {name: _nodes_of(name) for name in ("FrameDecoder", "VisionLanguageModel")}
        serve.delete(APPLICATION)
    assert places == {"FrameDecoder": {nodes["decode"]}, "VisionLanguageModel": {nodes["engine"]}}
    responses = [chunk["response"] for chunk in answer["chunk_results"]]
    assert responses == [chunk["response"] for chunk in single_node_answer["chunk_results"]]
    assert answer["aggregated_response"] == single_node_answer["aggregated_response"]


def _ask(url: str) -> dict[str, Any]:
    response = httpx.post(f"{url}/v1/analyses", json=BODY, timeout=120, trust_env=False)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    assert answer["success"] and not answer["partial"]
    return answer


def _nodes_of(deployment: str) -> set[str]:
    """Ids of the nodes on which replicas of `deployment` live."""
    return {
        actor["Address"]["NodeID"]
        for actor in actors().values()
        if actor["State"] == "ALIVE" and actor["ActorClassName"] == f"ServeReplica:{APPLICATION}:{deployment}"
    }
