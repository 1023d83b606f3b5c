"""Routing among several engines, on Ray for real, with stand-ins that only say which of them was asked."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from ray import serve
from ray.serve.config import RequestRouterConfig
from ray.serve.handle import DeploymentHandle

from deployments.serving.chunk_affinity import ChunkAffinityRouter
from deployments.serving.embedded_server import embedded_ray
from deployments.serving.ray_errors import is_replica_loss
from tests.deployments.engine.fake_engines import FakeEngine, FakeOrchestrator

NUM_ENGINES = 3
ROOM = 64
"""Calls that one engine takes at once."""
MAX_LEAD = 24
"""More than chance makes of 64 chunks: 3.7 standard deviations of what one engine gets more than another."""
CHUNKS = [f"chunk {index}" for index in range(64)]
TIMEOUT_SECONDS = 30.0

pytestmark = pytest.mark.own_servers


@pytest.fixture(scope="module")
def orchestrator() -> Iterator[DeploymentHandle]:
    with embedded_ray():
        engine = serve.deployment(
            FakeEngine,
            num_replicas=NUM_ENGINES,
            max_ongoing_requests=ROOM,
            ray_actor_options={"num_cpus": 0},
            request_router_config=RequestRouterConfig(
                request_router_class=ChunkAffinityRouter, request_router_kwargs={"max_lead": MAX_LEAD}
            ),
        )
        # One orchestrator, so that each test sees one router's knowledge.
        graph = serve.deployment(FakeOrchestrator, ray_actor_options={"num_cpus": 0}).bind(engine.bind())
        yield serve.run(graph, name="affinity", route_prefix=None)


def asked(orchestrator: DeploymentHandle, method: str, *arguments: Any) -> Any:
    return getattr(orchestrator, method).remote(*arguments).result(timeout_s=TIMEOUT_SECONDS)


def test_calls_of_one_request_spread_and_come_back_to_the_same_engines(orchestrator: DeploymentHandle) -> None:
    first = asked(orchestrator, "ask", CHUNKS)
    second = asked(orchestrator, "ask", CHUNKS[::-1])[::-1]
    assert second == first
    shares = Counter(first)
    assert len(shares) == NUM_ENGINES
    assert max(shares.values()) <= 0.6 * len(CHUNKS), shares


def test_calls_without_a_key_go_where_least_is_under_way(orchestrator: DeploymentHandle) -> None:
    shares = Counter(asked(orchestrator, "ask", [""] * 60, 0.5))
    assert max(shares.values()) <= 30, shares


def test_one_chunk_that_everybody_asks_about_does_not_wait_for_its_engine(orchestrator: DeploymentHandle) -> None:
    (home,) = asked(orchestrator, "ask", ["popular"])
    shares = Counter(asked(orchestrator, "ask", ["popular"] * 80, 1.0))
    assert len(shares) == NUM_ENGINES
    assert shares[home] >= MAX_LEAD, shares
    assert max(shares.values()) - min(shares.values()) <= MAX_LEAD + 1, shares
    assert asked(orchestrator, "ask", ["popular"]) == [home]


def test_more_than_there_is_room_for_waits_and_is_answered(orchestrator: DeploymentHandle) -> None:
    many = [f"many {index}" for index in range(NUM_ENGINES * ROOM + 60)]
    assert len(asked(orchestrator, "ask", many, 0.3)) == len(many)


def test_calls_that_are_given_up_leave_nothing_behind(orchestrator: DeploymentHandle) -> None:
    asked(orchestrator, "give_up", [f"gone {index}" for index in range(NUM_ENGINES * ROOM + 60)])
    assert len(asked(orchestrator, "ask", CHUNKS)) == len(CHUNKS)


def test_an_engine_that_is_killed_is_passed_by_and_the_others_keep_theirs(orchestrator: DeploymentHandle) -> None:
    before = asked(orchestrator, "ask", CHUNKS)
    killed = before[0]
    os.kill(killed, signal.SIGKILL)
    after = _until_answered(orchestrator)
    assert killed not in after
    stayed = [was == now for was, now in zip(before, after, strict=True) if was != killed]
    # A new engine may have come already, and takes its own share.
    assert sum(stayed) >= 0.5 * len(stayed)


def _until_answered(orchestrator: DeploymentHandle) -> list[int]:
    """As chunk calls do: again, where an engine was lost."""
    for _ in range(10):
        try:
            answers: list[int] = asked(orchestrator, "ask", CHUNKS)
        except Exception as error:
            if not is_replica_loss(error):
                raise
        else:
            return answers
    raise AssertionError("an engine that is gone was asked again and again")
