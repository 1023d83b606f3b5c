"""RunPod's dialect through the whole graph, as its Python client asks."""

from __future__ import annotations

import time
from typing import Any

import httpx

BASE = "/v2/any-endpoint"
INPUT = {"video_path": "scenes.mp4", "prompt": "What happens?", "max_tokens": 12, "chunk_duration": 30, "seed": 1}


def test_a_job_streams_its_chunks_and_ends(client: httpx.Client) -> None:
    job = client.post(f"{BASE}/run", json={"input": INPUT}).json()
    assert job["status"] == "IN_QUEUE"
    outputs: list[Any] = []
    until = time.monotonic() + 120
    while True:
        assert time.monotonic() < until
        news = client.get(f"{BASE}/stream/{job['id']}").json()
        outputs += [item["output"] for item in news["stream"]]
        if news["status"] == "COMPLETED" and not news["stream"]:
            break
        time.sleep(0.2)
    *chunks, whole = outputs
    done = client.get(f"{BASE}/status/{job['id']}").json()
    assert (done["status"], done["output"]) == ("COMPLETED", whole)
    assert done["executionTime"] > 0
    assert whole["success"] and whole["num_chunks"] == whole["total_successful_chunks"] == len(chunks) == 5
    assert sorted(chunk["chunk_index"] for chunk in chunks) == [0, 1, 2, 3, 4]


def test_a_job_that_is_waited_for(client: httpx.Client) -> None:
    body = client.post("/runsync", json={"input": INPUT | {"video_end": 20}}).json()
    assert (body["status"], body["output"]["num_chunks"]) == ("COMPLETED", 1)
    assert client.get("/health").json()["workers"]["ready"] == 1


def test_a_job_is_cancelled(client: httpx.Client) -> None:
    job = client.post("/run", json={"input": INPUT | {"chunk_duration": 2, "chunk_overlap": 0, "seed": 2}}).json()
    assert client.post(f"/cancel/{job['id']}").json()["status"] == "CANCELLED"
    assert client.get(f"/status/{job['id']}").json()["status"] == "CANCELLED"


def test_a_video_that_cannot_be_read_fails_its_job(client: httpx.Client) -> None:
    body = client.post("/runsync", json={"input": INPUT | {"video_path": "missing.mp4"}}).json()
    assert body["status"] == "FAILED"
    assert body["output"] == {"success": False, "error": body["error"]}
