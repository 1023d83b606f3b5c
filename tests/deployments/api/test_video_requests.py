"""Requests as JSON and as forms."""

from __future__ import annotations

from pathlib import Path

from fastapi.testclient import TestClient

from pipeline.types import HttpUrl, HttpVideo, StoredVideo
from tests.deployments.api.fakes import FakeOrchestrator
from tests.deployments.api.native_requests import ASKED, ROUTE, VIDEO_BYTES


def test_form_with_a_file(client: TestClient, orchestrator: FakeOrchestrator, uploads: Path) -> None:
    fields = {"prompt": "What happens?", "fps": "0.5", "aggregate": "false"}
    response = client.post(ROUTE, data=fields, files={"video": ("cat.mp4", VIDEO_BYTES, "video/mp4")})
    assert response.status_code == 200, response.text
    (job,) = orchestrator.jobs
    assert isinstance(job.source, StoredVideo)
    assert job.chunking.frame_sampling.fps == 0.5
    assert job.aggregate is False
    assert orchestrator.uploaded == [VIDEO_BYTES]
    assert list(uploads.iterdir()) == []


def test_form_without_a_file(client: TestClient, orchestrator: FakeOrchestrator) -> None:
    boundary = {"content-type": "multipart/form-data; boundary=x"}
    parts = "".join(f'--x\r\ncontent-disposition: form-data; name="{k}"\r\n\r\n{v}\r\n' for k, v in ASKED.items())
    assert client.post(ROUTE, content=f"{parts}--x--\r\n", headers=boundary).status_code == 200
    assert orchestrator.jobs[0].source == HttpVideo(HttpUrl.parse("https://example.com/cat.mp4"))
