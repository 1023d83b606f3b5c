"""Stored analyses over HTTP: create, get, stream events, cancel and delete."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr

from deployments.api.service import Service, current_service
from pipeline.errors import DecodeFailed
from pipeline.store import AnalysisStore, ClaimedAnalysis
from pipeline.types import HttpUrl, HttpVideo, StoredVideo
from tests.deployments.api.fakes import WHOLE
from tests.deployments.api.native_requests import ASKED, VIDEO_BYTES
from tests.deployments.api.result_bodies import ANALYSIS, CHUNK_RESULT, FAILED_RESULT, VIDEO_INFO
from tests.deployments.api.storing import ROUTE, STORED, ask, claimed_by, journal_of, numbered
from tests.deployments.api.wire import error_of, events_of
from tests.pipeline.store.damage import DAMAGE, SQLITE_DAMAGE, damage

SIGNED = "https://example.com/films/cat.mp4?signature=secret#t"


def run(service: Service, claimed: ClaimedAnalysis, num_events: int = len(WHOLE)) -> None:
    """Write the Orchestrator's events to the runner's own journal."""

    async def record_all() -> None:
        journal = journal_of(service, claimed)
        for event in WHOLE[:num_events]:
            await journal.record(event)

    asyncio.run(record_all())


# --- Asking -----------------------------------------------------------------------------------------------------------


def test_a_stored_analysis_field_by_field(client: TestClient) -> None:
    before = int(time.time())
    body = ask(client, metadata={"who": "me"}, video_url=SIGNED)
    assert body.pop("id").startswith("analysis-")
    assert before <= body.pop("created_at") <= body.pop("updated_at")
    assert body == {
        "object": "analysis",
        "status": "queued",
        "started_at": None,
        "completed_at": None,
        "expires_at": None,
        "model": "longtake-demo",
        "prompt": "What happens?",
        "video": "https://example.com/films/cat.mp4",
        "file_id": None,
        "progress": {"chunks_done": 0, "num_chunks": None, "merging": False},
        "plan": None,
        "chunk_results": [],
        "result": None,
        "error": None,
        "metadata": {"who": "me"},
    }


def test_what_is_needed_to_run_it_is_kept(client: TestClient, store: AnalysisStore) -> None:
    ask(client, video_url=SIGNED, model="sports", cache_salt="salt", include_video_metadata=True)
    claimed = claimed_by(store)
    assert claimed.record.model == "sports"
    assert claimed.job.include_video_metadata
    job = claimed.job.job
    assert (job.source, job.cache_salt) == (HttpVideo(HttpUrl.parse(SIGNED)), "salt")
    assert (job.token_sampling.seed, job.token_sampling.adapter) == (42, "sports")


def test_the_runner_is_told(app: FastAPI, service: Service) -> None:
    told: list[int] = []
    app.dependency_overrides[current_service] = lambda: replace(service, wake_runner=lambda: told.append(1))
    ask(TestClient(app))
    assert told == [1]


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"stream": True}, "stream"),
        ({"temperature": 3}, "temperature"),
        ({"model": "another"}, "model"),
        ({"metadata": {"name": 1}}, "metadata.name"),
        ({"metadata": {str(number): "" for number in range(17)}}, "metadata"),
        ({"webhook": {"url": "https://example.com/hook"}}, "webhook"),
    ],
)
def test_what_cannot_be_stored_is_refused_at_once(
    client: TestClient, store: AnalysisStore, given: dict[str, Any], param: str
) -> None:
    response = client.post(STORED, json=ASKED | given)
    assert error_of(response, 404 if param == "model" else 400)["param"] == param
    assert store.analyses.page(limit=1).records == ()


@pytest.mark.parametrize(
    ("given", "headers", "param"),
    [
        ({"metadata": {"who": "me"}}, {}, "metadata"),
        ({"webhook": {"url": "https://example.com"}}, {}, "webhook"),
        ({}, {"Idempotency-Key": "key"}, "Idempotency-Key"),
    ],
)
def test_who_waits_is_told_what_is_not_for_them(
    client: TestClient, given: dict[str, Any], headers: dict[str, str], param: str
) -> None:
    error = error_of(client.post(ROUTE, json=ASKED | given, headers=headers), 400)
    assert error["param"] == param and "wait=false" in error["message"]


def test_who_waits_has_nothing_stored(client: TestClient, store: AnalysisStore) -> None:
    assert client.post(ROUTE, json=ASKED).status_code == 200
    assert store.analyses.page(limit=1).records == ()


def test_an_upload_is_kept_until_it_ends(
    client: TestClient, store: AnalysisStore, uploads: Path, service: Service
) -> None:
    response = client.post(
        STORED, data={"prompt": "What happens?", "metadata": '{"a": "b"}'}, files={"video": ("cat.mp4", VIDEO_BYTES)}
    )
    body = response.json()
    assert (response.status_code, body["video"], body["file_id"]) == (202, "cat.mp4", None)
    assert body["metadata"] == {"a": "b"}
    (folder,) = uploads.iterdir()
    assert (folder / "video").read_bytes() == VIDEO_BYTES
    assert claimed_by(store).job.job.source == StoredVideo(folder.name)
    client.delete(f"{ROUTE}/{body['id']}")
    assert folder.exists()  # deleted by the runner, or with the analysis
    client.delete(f"{ROUTE}/{body['id']}")
    assert list(uploads.iterdir()) == []


@pytest.mark.parametrize(("keep_days", "expires_days"), [(1, 7), (30, 30)])
def test_an_upload_outlives_every_result(
    app: FastAPI, service: Service, uploads: Path, keep_days: int, expires_days: int
) -> None:
    store_settings = service.settings.store.model_copy(update={"keep_results_seconds": keep_days * 24 * 3600.0})
    settings = service.settings.model_copy(update={"store": store_settings})
    app.dependency_overrides[current_service] = lambda: replace(service, settings=settings)
    response = TestClient(app).post(STORED, data={"prompt": "What?"}, files={"video": ("cat.mp4", VIDEO_BYTES)})
    assert response.status_code == 202
    (folder,) = uploads.iterdir()
    assert service.uploads.get(folder.name).expires_at == pytest.approx(time.time() + expires_days * 24 * 3600, abs=60)


def test_an_upload_of_a_refused_request_is_deleted(client: TestClient, uploads: Path) -> None:
    response = client.post(STORED, data={"prompt": " "}, files={"video": ("cat.mp4", VIDEO_BYTES)})
    assert response.status_code == 400
    assert list(uploads.iterdir()) == []


@pytest.mark.parametrize(
    ("video", "shown"),
    [
        ({"video_path": "films/cat.mp4"}, "films/cat.mp4"),
        ({"file_id": "file-" + "0" * 32}, "file-" + "0" * 32),
        ({"video_url": "s3://films/cat.mp4"}, "s3://films/cat.mp4"),
        ({"video_url": "data:video/mp4;base64,AAAA"}, "a data: URL"),
    ],
)
def test_the_video_in_words(client: TestClient, video: dict[str, str], shown: str) -> None:
    body = client.post(STORED, json={"prompt": "What?"} | video).json()
    assert (body["video"], body["file_id"]) == (shown, video.get("file_id"))


# --- Asking twice -----------------------------------------------------------------------------------------------------


def test_one_key_one_analysis(client: TestClient) -> None:
    headers = {"Idempotency-Key": "key"}
    first = client.post(STORED, json=ASKED, headers=headers)
    again = client.post(STORED, json=dict(reversed(ASKED.items())), headers=headers)
    assert again.status_code == 202
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    other = error_of(client.post(STORED, json=ASKED | {"fps": 1}, headers=headers), 422)
    assert (other["type"], other["param"]) == ("idempotency_conflict", "Idempotency-Key")
    assert first.json()["id"] in other["message"]


def test_the_same_file_again_is_kept_once(client: TestClient, uploads: Path) -> None:
    def send(content: bytes) -> httpx.Response:
        files = {"video": ("cat.mp4", content)}
        return client.post(STORED, data={"prompt": "What?"}, files=files, headers={"Idempotency-Key": "key"})

    assert send(VIDEO_BYTES).json()["id"] == send(VIDEO_BYTES).json()["id"]
    assert error_of(send(VIDEO_BYTES + b"\0"), 422)["type"] == "idempotency_conflict"
    assert len(list(uploads.iterdir())) == 1


@pytest.mark.parametrize("key", ["", "k" * 256])
def test_a_key_of_a_wrong_length(client: TestClient, key: str) -> None:
    error = error_of(client.post(STORED, json=ASKED, headers={"Idempotency-Key": key}), 400)
    assert error["param"] == "Idempotency-Key"


# --- Looking ----------------------------------------------------------------------------------------------------------


def test_partial_results_and_the_whole(client: TestClient, store: AnalysisStore, service: Service) -> None:
    asked = ask(client)["id"]
    claimed = claimed_by(store)
    run(service, claimed, num_events=2)
    body = client.get(f"{ROUTE}/{asked}").json()
    assert (body["status"], body["progress"]["chunks_done"], body["progress"]["num_chunks"]) == ("running", 1, 2)
    assert body["plan"]["video_info"] == VIDEO_INFO
    assert body["chunk_results"] == [CHUNK_RESULT]
    assert body["result"] is None and body["started_at"]
    run(service, claimed_again(store, claimed))
    body = client.get(f"{ROUTE}/{asked}").json()
    assert (body["status"], body["error"]) == ("completed", None)
    assert body["chunk_results"] == [CHUNK_RESULT, FAILED_RESULT]
    assert "generated films" in body["result"].pop("notice")
    assert body["result"] == ANALYSIS
    assert body["expires_at"] == pytest.approx(body["completed_at"] + 7 * 24 * 3600, abs=1)


def claimed_again(store: AnalysisStore, claimed: ClaimedAnalysis) -> ClaimedAnalysis:
    store.leases.release(claimed.lease, pause_seconds=0, counts=True)
    return claimed_by(store)


def test_why_it_failed(client: TestClient, store: AnalysisStore, service: Service) -> None:
    asked = ask(client)["id"]
    journal = journal_of(service, claimed_by(store))
    asyncio.run(journal.fail(DecodeFailed("No frame.", param="video_url")))
    expected = {"type": "decode_failed", "message": "No frame.", "param": "video_url"}
    body = client.get(f"{ROUTE}/{asked}").json()
    assert (body["status"], body["error"]) == ("failed", expected)
    (listed,) = client.get(ROUTE, params={"status": "failed"}).json()["data"]
    assert listed["error"] == expected
    assert set(body) - set(listed) == {"plan", "chunk_results", "result"}


def test_pages(client: TestClient) -> None:
    ids = [ask(client)["id"] for _ in range(3)]
    page = client.get(ROUTE, params={"limit": 2}).json()
    assert [item["id"] for item in page.pop("data")] == [ids[2], ids[1]]
    assert page == {"object": "list", "first_id": ids[2], "last_id": ids[1], "has_more": True}
    rest = client.get(ROUTE, params={"limit": 2, "after": ids[1]}).json()
    assert [item["id"] for item in rest["data"]] == [ids[0]] and not rest["has_more"]
    empty = client.get(ROUTE, params={"status": "completed"}).json()
    assert empty == {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}


@pytest.mark.parametrize(
    ("params", "param"), [({"limit": 0}, "limit"), ({"limit": 101}, "limit"), ({"status": "done"}, "status")]
)
def test_a_page_that_is_none(client: TestClient, params: dict[str, Any], param: str) -> None:
    assert error_of(client.get(ROUTE, params=params), 400)["param"] == param


@pytest.mark.parametrize(("method", "path"), [("GET", ""), ("GET", "/events"), ("DELETE", "")])
def test_an_unknown_one(client: TestClient, method: str, path: str) -> None:
    error = error_of(client.request(method, f"{ROUTE}/analysis-0{path}"), 404)
    assert error["type"] == "analysis_not_found"


# --- Ending -----------------------------------------------------------------------------------------------------------


def test_cancelled_then_deleted(client: TestClient, store: AnalysisStore) -> None:
    asked = ask(client)["id"]
    claimed = claimed_by(store)
    body = client.delete(f"{ROUTE}/{asked}").json()
    assert (body["id"], body["status"], body["result"]) == (asked, "cancelled", None)
    assert store.leases.held([claimed.lease]) == frozenset()
    assert client.delete(f"{ROUTE}/{asked}").json() == {"id": asked, "object": "analysis", "deleted": True}
    error_of(client.get(f"{ROUTE}/{asked}"), 404)


def test_one_that_ends_while_it_is_cancelled_is_not_deleted(
    client: TestClient, store: AnalysisStore, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ask(client)["id"]
    cancel = service.analysis_store.analyses.cancel

    async def finish_first(analysis_id: str) -> bool:
        await asyncio.to_thread(run, service, claimed_by(store))
        return await cancel(analysis_id)

    monkeypatch.setattr(service.analysis_store.analyses, "cancel", finish_first)
    body = client.delete(f"{ROUTE}/{asked}").json()
    assert body["status"] == "completed" and body["result"]


# --- Listening --------------------------------------------------------------------------------------------------------


def test_events_are_those_of_a_stream_with_ids(client: TestClient, store: AnalysisStore, service: Service) -> None:
    streamed = events_of(client.post(ROUTE, json=ASKED | {"seed": 42, "stream": True}).text)
    asked = ask(client)["id"]
    run(service, claimed_by(store))
    response = client.get(f"{ROUTE}/{asked}/events")
    assert response.headers["content-type"].startswith("text/event-stream")
    heard = events_of(response.text)
    assert [name for name, _ in heard if name != "delta"] == [name for name, _ in streamed if name != "delta"]
    assert [event for event in heard if event[0] != "delta"] == [event for event in streamed if event[0] != "delta"]
    assert "".join(data["text"] for name, data in heard if name == "delta") == "A cat sits all day."
    assert numbered(response.text) == list(range(1, len(heard) + 1))


def test_events_after_the_last_one_that_was_heard(client: TestClient, store: AnalysisStore, service: Service) -> None:
    asked = ask(client)["id"]
    run(service, claimed_by(store))
    whole = client.get(f"{ROUTE}/{asked}/events").text
    last = numbered(whole)[-1]
    for given in ({"headers": {"Last-Event-ID": "2"}}, {"params": {"after": 2}}):
        assert numbered(client.get(f"{ROUTE}/{asked}/events", **given).text) == list(range(3, last + 1))
    assert client.get(f"{ROUTE}/{asked}/events", headers={"Last-Event-ID": str(last)}).text == ""
    error = error_of(client.get(f"{ROUTE}/{asked}/events", headers={"Last-Event-ID": "two"}), 400)
    assert error["param"] == "Last-Event-ID"


def test_the_webhooks_url_is_checked(app: FastAPI, service: Service) -> None:
    secret = SecretStr("whsec_" + "QUJD" * 8)
    store_settings = service.settings.store.model_copy(update={"webhook_secret": secret})
    settings = service.settings.model_copy(update={"store": store_settings})
    app.dependency_overrides[current_service] = lambda: replace(service, settings=settings)
    client = TestClient(app)
    ask(client, webhook={"url": "https://example.com/hook?token=1"})
    long = "https://example.com/" + "a" * 3000
    for url in ("ftp://example.com", "https://user:password@example.com", "example.com", long):
        error = error_of(client.post(STORED, json=ASKED | {"webhook": {"url": url}}), 400)
        assert error["param"] == "webhook"


# --- Rows that cannot be read -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [*DAMAGE, *SQLITE_DAMAGE])
def test_a_row_that_cannot_be_read_breaks_no_list(
    client: TestClient, store: AnalysisStore, values: dict[str, object]
) -> None:
    ids = [ask(client)["id"] for _ in range(3)]
    client.delete(f"{ROUTE}/{ids[1]}")
    damage(store, ids[1], values)
    listed = {analysis["id"]: analysis for analysis in client.get(ROUTE).json()["data"]}
    assert listed.keys() == set(ids)
    assert listed[ids[1]]["error"]["type"] == "unreadable_record"
    assert listed[ids[0]]["error"] is None
    assert client.get(f"{ROUTE}/{ids[1]}").json()["error"]["type"] == "unreadable_record"
    assert client.get(f"/status/{ids[1]}").json()["status"] in ("FAILED", "CANCELLED")
    assert client.get("/health").status_code == 200
    if "created_at" not in values:
        page = client.get(ROUTE, params={"limit": 1, "after": ids[1]}).json()
        assert [analysis["id"] for analysis in page["data"]] == [ids[0]]
    assert client.delete(f"{ROUTE}/{ids[1]}").json()["deleted"]


def test_what_an_earlier_release_stored_of_a_surrogate_is_listed(client: TestClient, store: AnalysisStore) -> None:
    analysis_id = ask(client)["id"]
    about = json.dumps({"prompt": "What?", "video": "\udcff.mp4", "file_id": None, "metadata": [["\ud800", "\udfff"]]})
    failure = json.dumps({"type": "source_not_found", "message": "no \udcff.mp4", "param": None})
    damage(store, analysis_id, {"status": "failed", "about": about, "failure": failure})
    listed = client.get(ROUTE).json()["data"][0]
    assert (listed["video"], listed["error"]["message"]) == ("\\udcff.mp4", "no \\udcff.mp4")
    assert listed["metadata"] == {"\\ud800": "\\udfff"}
    assert client.get(f"{ROUTE}/{analysis_id}").json()["video"] == "\\udcff.mp4"
