"""A killed process costs a chunk's retry, never the request."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from pipeline.planning.visual_tokens import DEFAULT_MIN_PIXELS
from tests.graph.asking import BODY, IDLE_CPU_PERCENT, fresh
from tests.graph.films import film
from tests.graph.processes import decoding_workers, engine_core, replicas, wait_until
from tests.worker_hosts import worker_hosts


def _kill_the_decoding_workers() -> None:
    for worker in decoding_workers():
        worker.kill()


def _kill_one_decoder() -> None:
    replicas("FrameDecoder")[0].kill()


def _kill_the_engine_replica() -> None:
    replicas("VisionLanguageModel")[0].kill()


def _kill_the_engine_core() -> None:
    engine_core().kill()


@pytest.mark.parametrize(
    "kill", [_kill_the_decoding_workers, _kill_one_decoder, _kill_the_engine_replica, _kill_the_engine_core]
)
def test_a_kill_in_the_middle(client: httpx.Client, kill: Callable[[], None]) -> None:
    expected = client.post("/v1/analyses", json=BODY).json()
    assert expected["success"] and not expected["partial"]
    answer, num_chunks_left = _analyze_and(kill, client)
    assert num_chunks_left > 0, "the kill came too late"
    assert answer["success"] and not answer["partial"], answer["chunk_results"]
    assert [chunk["response"] for chunk in answer["chunk_results"]] == [
        chunk["response"] for chunk in expected["chunk_results"]
    ]
    assert answer["aggregated_response"] == expected["aggregated_response"]


def _analyze_and(kill: Callable[[], None], client: httpx.Client) -> tuple[dict[str, Any], int]:
    """The answer, with `kill` in the middle of it, and how many chunks were answered only afterwards."""
    answer: dict[str, Any] = {}
    num_chunks_left = -1
    with client.stream("POST", "/v1/analyses", json=BODY | fresh() | {"stream": True}) as response:
        name = ""
        for line in response.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
                if name == "chunk" and num_chunks_left < 0:
                    kill()
                num_chunks_left += name == "chunk"
            elif line.startswith("data: ") and name == "answer":
                answer = json.loads(line.removeprefix("data: "))
    return answer, num_chunks_left


def test_a_client_that_leaves_ends_its_analysis(client: httpx.Client, media: Path) -> None:
    clip = film(media, "24_minutes.mp4", seconds=24 * 60)
    size = {"min_pixels": DEFAULT_MIN_PIXELS}
    long = (
        BODY | size | fresh() | {"video_path": clip.name, "chunk_duration": 60, "stream": True}
    )  # half a minute of work
    with client.stream("POST", "/v1/analyses", json=long) as response:
        lines = response.iter_lines()  # held: httpx hangs up when it is collected
        next(lines)
        wait_until(lambda: not _engine_is_idle(), timeout_seconds=20, what="work")
    wait_until(_engine_is_idle, timeout_seconds=10, what="the end of the work")


def _engine_is_idle() -> bool:
    return engine_core().cpu_percent(interval=1) < IDLE_CPU_PERCENT


@pytest.mark.parametrize("wait", ["true", "false"])
def test_a_name_that_cannot_be_encoded_kills_nothing(client: httpx.Client, wait: str) -> None:
    """Ray cannot encode an error with half of a character in its text, and a worker that tries dies."""
    chunkers = {replica.pid for replica in replicas("Chunker")}
    for path in ("\udcff.mp4", "\ud83d", "a\x00.mp4"):
        content = json.dumps({"prompt": "What happens?", "video_path": path})
        response = client.post("/v1/analyses", content=content, params={"wait": wait})
        assert (response.status_code, response.json()["error"]["param"]) == (400, "video_path")
    for path in ("/v1/analyses/%00", "/v1/analyses/%ff"):
        assert client.get(path).json()["error"]["param"] == "analysis_id"
    key = [(b"Idempotency-Key", b"\xff")]
    refusal = client.post("/v1/analyses", content=json.dumps(BODY), params={"wait": "false"}, headers=key).json()[
        "error"
    ]
    assert refusal["param"] == "Idempotency-Key"
    assert client.get("/v1/analyses").status_code == 200
    assert {replica.pid for replica in replicas("Chunker")} == chunkers


def test_the_killed_are_replaced(client: httpx.Client) -> None:
    wait_until(lambda: len(replicas("FrameDecoder")) >= 2, timeout_seconds=60, what="two decoders")
    assert len(worker_hosts("DecodeWorker")) == 1  # they share what it imports
    assert client.get("/health/ready").json() == {"status": "ready", "model": "longtake-demo"}
    assert client.get("/health/live").json() == {"status": "live"}


def test_a_worker_that_is_lost_costs_no_attempt(client: httpx.Client) -> None:
    """Its replica lives on, and decodes the chunk again in another one."""
    client.post("/v1/analyses", json=BODY | fresh())  # all of them have decoded by now
    replicas_before = {replica.pid for replica in replicas("FrameDecoder")}
    workers_before = {worker.pid for worker in decoding_workers()}
    answer, num_chunks_left = _analyze_and(_kill_the_decoding_workers, client)
    assert num_chunks_left > 0, "the kill came too late"
    assert not answer["partial"]
    assert {chunk["attempts"] for chunk in answer["chunk_results"]} == {1}
    assert replicas_before <= {replica.pid for replica in replicas("FrameDecoder")}
    assert workers_before != {worker.pid for worker in decoding_workers()}
