"""Stored analyses on the whole graph: the same answers, and no process that may not be lost."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.graph.asking import BODY, IDLE_CPU_PERCENT, fresh
from tests.graph.films import film
from tests.graph.processes import decoding_workers, engine_core, replicas, wait_until

UNFINISHED = ("queued", "running")


def ask(client: httpx.Client, **fields: Any) -> str:
    response = client.post("/v1/analyses", params={"wait": "false"}, json=BODY | fields)
    assert response.status_code == 202, response.text
    analysis_id: str = response.json()["id"]
    return analysis_id


def get(client: httpx.Client, analysis_id: str) -> dict[str, Any]:
    body: dict[str, Any] = client.get(f"/v1/analyses/{analysis_id}").json()
    return body


def until_ended(client: httpx.Client, analysis_id: str, seconds: float = 120) -> dict[str, Any]:
    wait_until(lambda: get(client, analysis_id)["status"] not in UNFINISHED, timeout_seconds=seconds, what="the end")
    return get(client, analysis_id)


def texts(answer: dict[str, Any]) -> Any:
    return [chunk["response"] for chunk in answer["chunk_results"]], answer["aggregated_response"]


def test_the_answer_is_that_of_a_request_that_waits(client: httpx.Client) -> None:
    expected = client.post("/v1/analyses", json=BODY | fresh()).json()
    salt = fresh()
    stored = until_ended(client, ask(client, **salt))
    assert (stored["status"], stored["error"]) == ("completed", None)
    assert texts(stored["result"]) == texts(expected)
    assert stored["chunk_results"] == stored["result"]["chunk_results"]
    again = until_ended(client, ask(client, **salt))["result"]
    assert texts(again) == texts(expected)
    assert all(chunk["answer_reused"] for chunk in again["chunk_results"])
    assert {chunk["processing_time"] for chunk in again["chunk_results"]} == {0}


def test_what_is_wrong_with_a_video_is_told(client: httpx.Client) -> None:
    failed = until_ended(client, ask(client, video_path="nothing.mp4"))
    assert (failed["status"], failed["error"]["type"]) == ("failed", "source_not_found")


def test_an_upload_goes_when_it_is_done(client: httpx.Client, media: Path, uploads: Path) -> None:
    before = set(uploads.iterdir())
    response = client.post(
        "/v1/analyses?wait=false",
        data={"prompt": "What happens?", "max_tokens": "8"},
        files={"video": ("short.mp4", (media / "short.mp4").read_bytes())},
    )
    stored = until_ended(client, response.json()["id"])
    assert (stored["status"], stored["video"]) == ("completed", "short.mp4")
    wait_until(lambda: set(uploads.iterdir()) == before, timeout_seconds=20, what="the upload's end")


def test_a_cancelled_one_stops_within_a_second(client: httpx.Client, media: Path) -> None:
    """Of small frames: the engine ends the step that it has begun, which takes seconds where frames are large."""
    clip = film(media, "24_minutes.mp4", seconds=24 * 60)
    analysis_id = ask(client, video_path=clip.name, **fresh())
    wait_until(lambda: get(client, analysis_id)["progress"]["chunks_done"] > 0, timeout_seconds=60, what="a chunk")
    assert client.delete(f"/v1/analyses/{analysis_id}").json()["status"] == "cancelled"
    time.sleep(1)
    assert engine_core().cpu_percent(interval=1) < IDLE_CPU_PERCENT
    assert all(worker.cpu_percent(interval=0.2) < IDLE_CPU_PERCENT for worker in decoding_workers())
    done = get(client, analysis_id)["progress"]["chunks_done"]
    time.sleep(2)
    assert get(client, analysis_id)["progress"]["chunks_done"] == done


async def test_200_listeners_hear_all_of_it_in_order(client: httpx.Client, server: str) -> None:
    """Each on a socket of its own; some come when half of it is told, some have heard the beginning before."""
    analysis_id = ask(client, **fresh())
    unbounded = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=server, timeout=120, limits=unbounded, trust_env=False) as http:
        listeners = [asyncio.ensure_future(_heard(http, analysis_id, after=0)) for _ in range(150)]
        await asyncio.to_thread(_wait_for_chunks, client, analysis_id, 5)
        listeners += [asyncio.ensure_future(_heard(http, analysis_id, after=0)) for _ in range(25)]
        listeners += [asyncio.ensure_future(_heard(http, analysis_id, after=3)) for _ in range(25)]
        heard = await asyncio.gather(*listeners)
    (first, *_), late = heard, heard[175:]
    numbers = [int(line.removeprefix("id: ")) for line in first if line.startswith("id: ")]
    assert numbers == list(range(1, len(numbers) + 1))
    names = [line.removeprefix("event: ") for line in first if line.startswith("event: ")]
    num_chunks = get(client, analysis_id)["progress"]["num_chunks"]
    assert (names[0], names[-1], names.count("chunk")) == ("plan", "answer", num_chunks)
    assert all(lines == first for lines in heard[:175])
    rest = first[first.index("id: 4") :]
    assert all(lines == rest for lines in late)


async def _heard(http: httpx.AsyncClient, analysis_id: str, after: int) -> list[str]:
    """The lines of a listener's stream, but for those that only keep it open."""
    headers = {"Last-Event-ID": str(after)} if after else {}
    async with http.stream("GET", f"/v1/analyses/{analysis_id}/events", headers=headers) as response:
        assert response.status_code == 200
        return [line async for line in response.aiter_lines() if line and not line.startswith(":")]


def _wait_for_chunks(client: httpx.Client, analysis_id: str, num_chunks: int) -> None:
    wait_until(
        lambda: get(client, analysis_id)["progress"]["chunks_done"] >= num_chunks, timeout_seconds=60, what="chunks"
    )


def _kill(name: str) -> None:
    for replica in replicas(name):
        replica.kill()


@pytest.mark.parametrize(
    "lost",
    [("AnalysisRunner",), ("Orchestrator",), ("AnalysisRunner", "Orchestrator", "VisionLanguageModel", "Ingress")],
)
def test_processes_are_lost_in_the_middle(client: httpx.Client, lost: tuple[str, ...]) -> None:
    salt = fresh()
    expected = client.post("/v1/analyses", json=BODY | fresh()).json()
    analysis_id = ask(client, **salt)
    _wait_for_chunks(client, analysis_id, 3)
    for name in lost:
        _kill(name)
    wait_until(lambda: _answers(client), timeout_seconds=60, what="an Ingress")
    stored = until_ended(client, analysis_id, seconds=180)
    assert (stored["status"], stored["result"] and stored["result"]["partial"]) == ("completed", False), stored["error"]
    assert texts(stored["result"]) == texts(expected)
    names = [
        line.removeprefix("event: ")
        for line in client.get(f"/v1/analyses/{analysis_id}/events").text.splitlines()
        if line.startswith("event: ")
    ]
    assert (names.count("plan"), names.count("answer")) == (1, 1)
    assert names.count("chunk") == stored["progress"]["num_chunks"]


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/health/live").status_code == 200
    except httpx.TransportError:
        return False
