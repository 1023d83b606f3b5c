"""RunPod's dialect at the HTTP level: requests of its client, and responses as its video workers send them."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from fastapi.testclient import TestClient

from deployments.api.runpod_jobs import job_output
from pipeline import errors
from pipeline.store import AnalysisFailure, AnalysisStore, ClaimedAnalysis, EventKind, NewEvent
from pipeline.types import HttpUrl, HttpVideo, LocalVideo, Prompt
from tests.deployments.api.fakes import FakeOrchestrator
from tests.deployments.api.result_bodies import ANALYSIS
from tests.deployments.api.wire import check_discreet
from tests.pipeline.store.samples import PLAN_EVENT, text_event

INPUT: dict[str, Any] = {
    "video_url": "https://example.com/cat.mp4",
    "prompt": "What happens?",
    "max_tokens": 256,
    "temperature": 0.7,
    "top_p": 0.8,
    "top_k": 20,
    "chunk_duration": 60.0,
    "aggregate": True,
    "aggregation_prompt": "Provide a comprehensive summary of the entire video:",
}
"""All that such a worker takes."""
RESULT = ANALYSIS
BASES = ("", "/v2/my-endpoint")


@pytest.fixture(params=BASES, ids=["bare", "v2"])
def base(request: pytest.FixtureRequest) -> str:
    path: str = request.param
    return path


def begun(client: TestClient, base: str = "", **fields: Any) -> str:
    response = client.post(f"{base}/run", json={"input": INPUT | fields})
    assert response.status_code == 200, response.text
    body = response.json()
    assert body == {"id": body["id"], "status": "IN_QUEUE"}
    return str(body["id"])


def claimed(store: AnalysisStore) -> ClaimedAnalysis:
    found = store.leases.claim(["longtake-demo"])
    assert found
    return found


def chunk_event(result: dict[str, Any]) -> NewEvent:
    return NewEvent(EventKind.CHUNK, json.dumps(result), chunk_index=result["chunk_index"], chunk_failed=False)


def done(store: AnalysisStore, run: ClaimedAnalysis) -> None:
    store.leases.complete(run.lease, json.dumps(RESULT))


def test_a_jobs_life(client: TestClient, store: AnalysisStore, base: str) -> None:
    job_id = begun(client, base)
    waiting = client.get(f"{base}/status/{job_id}").json()
    assert (waiting.pop("delayTime") >= 0, waiting) == (True, {"id": job_id, "status": "IN_QUEUE"})
    run = claimed(store)
    assert client.get(f"{base}/status/{job_id}").json()["status"] == "IN_PROGRESS"
    done(store, run)
    body = client.get(f"{base}/status/{job_id}").json()
    assert (body["id"], body["status"], body["output"]) == (job_id, "COMPLETED", job_output(RESULT))
    assert isinstance(body["delayTime"], int) and isinstance(body["executionTime"], int)


def test_what_reaches_the_runner(client: TestClient, store: AnalysisStore) -> None:
    begun(client)
    job = claimed(store).job.job
    assert job.source == HttpVideo(HttpUrl.parse("https://example.com/cat.mp4"))
    assert job.prompt == Prompt("What happens?")
    assert (job.token_sampling.max_tokens, job.aggregate) == (256, True)
    assert job.merge_instruction == "Provide a comprehensive summary of the entire video:"
    begun(client, video_url=None, video_path="cat.mp4", seed=None)
    assert claimed(store).job.job.source == LocalVideo("cat.mp4")


def test_the_output_has_what_a_workers_client_reads(client: TestClient, store: AnalysisStore) -> None:
    job_id = begun(client)
    done(store, claimed(store))
    output = client.get(f"/status/{job_id}").json()["output"]
    assert output["success"] is True
    assert {"width", "height", "fps", "duration", "total_frames"} <= output["video_info"].keys()
    assert {"num_chunks", "aggregated_response", "total_successful_chunks", "total_processing_time"} <= output.keys()
    fields = {"chunk_index", "start_time", "end_time", "success", "response", "processing_time", "error"}
    assert all(fields <= chunk.keys() for chunk in output["chunk_results"])
    assert [chunk["error"] for chunk in output["chunk_results"]] == [None, "No frame could be decoded."]


def test_a_job_that_is_waited_for(client: TestClient, store: AnalysisStore, base: str) -> None:
    def run() -> None:
        while (found := store.leases.claim(["longtake-demo"])) is None:
            time.sleep(0.01)
        done(store, found)

    running = threading.Thread(target=run)
    running.start()
    body = client.post(f"{base}/runsync", json={"input": INPUT}).json()
    running.join()
    assert (body["status"], body["output"]["aggregated_response"]) == ("COMPLETED", RESULT["aggregated_response"])


def test_a_job_that_takes_longer_goes_on(client: TestClient, store: AnalysisStore) -> None:
    body = client.post("/runsync?wait=1000", json={"input": INPUT}).json()
    assert body["status"] == "IN_QUEUE"
    done(store, claimed(store))
    assert client.get(f"/status/{body['id']}").json()["status"] == "COMPLETED"


def test_a_job_that_failed(client: TestClient, store: AnalysisStore) -> None:
    job_id = begun(client)
    failure = AnalysisFailure("unreadable_video", "It is damaged.", "video_url")
    store.leases.fail(claimed(store).lease, failure)
    body = client.get(f"/status/{job_id}").json()
    assert (body["status"], body["error"]) == ("FAILED", "It is damaged.")
    assert body["output"] == {"success": False, "error": "It is damaged."}


def test_a_stream_gives_each_piece_once(client: TestClient, store: AnalysisStore, base: str) -> None:
    job_id = begun(client, base)
    assert client.get(f"{base}/stream/{job_id}").json() == {"status": "IN_QUEUE", "stream": []}
    run = claimed(store)
    chunks = RESULT["chunk_results"]
    store.leases.append(run.lease, [PLAN_EVENT, chunk_event(chunks[0])])
    first = client.get(f"{base}/stream/{job_id}").json()
    assert first["status"] == "IN_PROGRESS"
    assert [item["output"]["response"] for item in first["stream"]] == ["A cat sits."]
    store.leases.append(run.lease, [chunk_event(chunks[1]), text_event("A")])
    done(store, run)
    second = client.get(f"{base}/stream/{job_id}").json()
    assert second["status"] == "COMPLETED"
    assert [item["output"].get("aggregated_response") for item in second["stream"]] == [None, "A cat sits all day."]
    assert client.get(f"{base}/stream/{job_id}").json() == {"status": "COMPLETED", "stream": []}


def test_a_job_is_cancelled(client: TestClient, store: AnalysisStore, base: str) -> None:
    job_id = begun(client, base)
    run = claimed(store)
    body = client.post(f"{base}/cancel/{job_id}").json()
    assert (body["id"], body["status"]) == (job_id, "CANCELLED")
    assert store.leases.held([run.lease]) == frozenset()
    assert client.get(f"{base}/status/{job_id}").json()["status"] == "CANCELLED"


def test_a_job_that_is_done_is_not_cancelled(client: TestClient, store: AnalysisStore) -> None:
    job_id = begun(client)
    done(store, claimed(store))
    assert client.post(f"/cancel/{job_id}").json()["status"] == "COMPLETED"


def test_health(client: TestClient, store: AnalysisStore, base: str) -> None:
    for _ in range(3):
        begun(client, base)
    claimed(store)
    body = client.get(f"{base}/health").json()
    assert body["jobs"] == {"completed": 0, "failed": 0, "inProgress": 1, "inQueue": 2, "retried": 0}
    assert (body["workers"]["running"], body["workers"]["idle"]) == (1, 0)
    assert client.get("/health/live").json() == {"status": "live"}


def test_health_without_an_engine(
    client: TestClient, orchestrator: FakeOrchestrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away() -> int:
        raise errors.DeadlineExceeded("No engine.")

    monkeypatch.setattr(orchestrator, "max_model_len", away)
    workers = client.get("/health").json()["workers"]
    assert (workers["ready"], workers["initializing"]) == (0, 1)


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        ({}, "input", "input is missing"),
        ({"input": {}}, "input", "at least 1 item"),
        ({"input": "What happens?"}, "input", "dictionary"),
        ({"input": INPUT, "webhook": "https://example.com"}, "webhook", "wait=false"),
        ({"input": INPUT, "policy": {"ttl": 1000}}, "policy", "leave it out"),
        ({"input": INPUT, "inptu": 1}, "inptu", "is not a field"),
        ({"input": INPUT | {"prompt": " "}}, "prompt", "prompt is empty"),
        ({"input": {"prompt": "What?"}}, "video_url", "No video is given"),
        ({"input": INPUT | {"video_path": "a.mp4"}}, "video_url", "More than one video"),
        ({"input": INPUT | {"stream": True}}, "stream", "/stream/"),
        ({"input": INPUT | {"chunk_size": 3}}, "chunk_size", "chunk_duration"),
        ({"input": INPUT | {"model": "gpt-4o"}}, "model", "longtake-demo"),
    ],
)
@pytest.mark.parametrize("path", ["/run", "/runsync"])
def test_jobs_that_are_refused(
    path: str, body: dict[str, Any], param: str, words: str, client: TestClient, store: AnalysisStore
) -> None:
    """At once, with a text where RunPod's clients look for it."""
    response = client.post(path, json=body)
    assert response.status_code in (400, 404), response.text
    error = response.json()
    assert (error["param"], words in error["error"]) == (param, True), error
    check_discreet(response.text)
    assert store.analyses.page(limit=1).records == ()


@pytest.mark.parametrize(
    "ask",
    [
        lambda client, job_id: client.get(f"/status/{job_id}"),
        lambda client, job_id: client.get(f"/stream/{job_id}"),
        lambda client, job_id: client.post(f"/cancel/{job_id}"),
    ],
)
def test_a_job_that_is_not_there(ask: Callable[[TestClient, str], Any], client: TestClient) -> None:
    response = ask(client, "sync-1")
    assert response.status_code == 404
    assert "There is no analysis 'sync-1'" in response.json()["error"]
