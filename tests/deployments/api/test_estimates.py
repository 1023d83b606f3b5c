"""`POST /v1/estimate`."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from deployments.api.estimates import USUAL_PROMPT
from pipeline import errors
from pipeline.types import HttpUrl, HttpVideo, Prompt, StoredVideo
from tests.deployments.api.fakes import ANSWERED, PLAN, FakeOrchestrator
from tests.deployments.api.wire import error_of

ROUTE = "/v1/estimate"
ASKED = {"video_url": "https://example.com/cat.mp4"}


def test_estimate_field_by_field(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    response = client.post(ROUTE, json=ASKED)
    assert response.status_code == 200, response.text
    body = response.json()
    assert [chunk["start_time"] for chunk in body.pop("plan")["chunks"]] == [0.0, 58.0]
    assert body.pop("prompt_tokens") > body["visual_tokens"]
    assert "nothing is measured" in body.pop("expected").pop("basis")
    assert body == {
        "num_chunks": 2,
        "num_frames": 8,
        "effective_fps": pytest.approx(8 / 120, abs=1e-3),
        "visual_tokens": 2 * 2 * (640 // 32) * (1152 // 32),
        "frame_bytes": 2 * 4 * 640 * 1152 * 3,
        "expected_seconds": None,
        "uncovered": [],
        "notices": ["A notice."],
    }
    (job,) = orchestrator.jobs
    assert (job.source, job.prompt) == (HttpVideo(HttpUrl.parse("https://example.com/cat.mp4")), Prompt(USUAL_PROMPT))


def test_what_was_measured_makes_a_forecast(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    prompt = Prompt("What happens?")
    orchestrator.rates.record_chunk(PLAN.video, PLAN.chunks[0], prompt, ANSWERED)
    orchestrator.rates.record_merge(2, 0.5)
    body = client.post(ROUTE, json=ASKED | {"prompt": prompt.text}).json()
    assert body["expected"].pop("basis")
    assert body["expected"] == {"decode_seconds": 3.0, "inference_seconds": 5.0, "merge_seconds": 0.5}
    assert body["expected_seconds"] == 8.5


def test_the_body_is_that_of_an_analysis(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    asked = ASKED | {"prompt": "What happens?", "stream": True, "chunk_duration": 30, "fps": 1, "aggregate": False}
    assert client.post(ROUTE, json=asked).status_code == 200
    (job,) = orchestrator.jobs
    assert job.chunking.chunk_duration_seconds == 30 and not job.aggregate


def test_a_file_that_came_along_is_not_kept(client: TestClient, orchestrator: FakeOrchestrator, uploads: Path) -> None:
    response = client.post(ROUTE, data={"fps": "1"}, files={"video": ("cat.mp4", b"\0" * 64)})
    assert response.status_code == 200
    (job,) = orchestrator.jobs
    assert isinstance(job.source, StoredVideo)
    assert list(uploads.glob("*/video")) == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [({}, "video_url"), (ASKED | {"fsp": 2}, "fsp"), (ASKED | {"prompt": " "}, "prompt")],
)
def test_what_cannot_be_asked(fields: dict[str, object], param: str, client: TestClient) -> None:
    assert error_of(client.post(ROUTE, json=fields), 400)["param"] == param


def test_what_is_wrong_with_the_video(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    orchestrator.events = (errors.UnreadableVideo("The video was cut off.", param="video_url"),)
    assert error_of(client.post(ROUTE, json=ASKED), 422)["type"] == "unreadable_video"
