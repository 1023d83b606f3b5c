"""Resolve the video of a request. A video inside the request is stored, and deleted after the analysis."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import av
import pytest
from fastapi.testclient import TestClient

from pipeline import errors
from pipeline.types import LocalVideo, S3Video, StoredVideo
from tests.deployments.api.fakes import WHOLE, FakeOrchestrator
from tests.deployments.api.native_requests import ROUTE, VIDEO_BYTES, tiny_jpeg
from tests.deployments.api.wire import error_of, events_of, frame_list


@pytest.mark.parametrize(
    ("field", "value", "source"),
    [
        ("video_url", "s3://bucket/cats/1.mp4", S3Video("bucket", "cats/1.mp4")),
        ("video_path", "cats/1.mp4", LocalVideo("cats/1.mp4")),
        ("file_id", "file-1", StoredVideo("file-1")),
    ],
)
def test_ways_to_name_a_video(
    field: str, value: str, source: object, client: TestClient, orchestrator: FakeOrchestrator
) -> None:
    orchestrator.events = WHOLE if field != "file_id" else (*WHOLE, WHOLE[-1])  # its last event is never requested
    assert client.post(ROUTE, json={"prompt": "What?", field: value}).status_code == 200
    assert orchestrator.jobs[0].source == source


def test_data_url(client: TestClient, orchestrator: FakeOrchestrator, uploads: Path) -> None:
    url = "data:video/mp4;base64," + base64.b64encode(VIDEO_BYTES[:700]).decode()
    assert client.post(ROUTE, json={"prompt": "What?", "video_url": url}).status_code == 200
    assert orchestrator.uploaded == [VIDEO_BYTES[:700]]
    assert list(uploads.iterdir()) == []


@pytest.mark.parametrize(("options", "fps"), [({}, 2.0), ({"sample_fps": 0.5}, 0.5), ({"sample_fps": 29.97}, 29.97)])
def test_frame_list(
    options: dict[str, float], fps: float, client: TestClient, orchestrator: FakeOrchestrator, uploads: Path
) -> None:
    asked = {"prompt": "What?", "video_url": frame_list(*[tiny_jpeg()] * 3), **options}
    response = client.post(ROUTE, json=asked)
    assert response.status_code == 200, response.text
    (job,) = orchestrator.jobs
    assert isinstance(job.source, StoredVideo) and job.source.is_frame_list
    assert job.chunking.frame_sampling.takes_all
    with av.open(io.BytesIO(orchestrator.uploaded[0])) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
        assert float(container.streams.video[0].average_rate or 0) == pytest.approx(fps)
    assert packets == [tiny_jpeg()] * 3
    assert list(uploads.iterdir()) == []


@pytest.mark.parametrize("options", [{"fps": 1}, {"nframes": 4}])
def test_a_frame_list_is_sampled_if_the_request_sets_a_rate(
    options: dict[str, float], client: TestClient, orchestrator: FakeOrchestrator
) -> None:
    client.post(ROUTE, json={"prompt": "What?", "video_url": frame_list(tiny_jpeg()), **options})
    sampling = orchestrator.jobs[0].chunking.frame_sampling
    assert (sampling.fps, sampling.nframes) == (options.get("fps"), options.get("nframes"))


@pytest.mark.parametrize(
    ("url", "status", "kind", "words"),
    [
        (frame_list(), 400, "invalid_request", "The list holds no frames"),
        (frame_list(tiny_jpeg(), b"no image"), 415, "unsupported_media", "Frame 1 of the list, counted from 0, is no"),
        (frame_list(tiny_jpeg(), tiny_jpeg(32)), 400, "invalid_request", "Frame 1 of the list, counted from 0, is a"),
        (frame_list(tiny_jpeg()) + ",", 415, "unsupported_media", "Frame 1 of the list, counted from 0, is no"),
        (frame_list(tiny_jpeg()) + ",?", 400, "invalid_request", "Frame 1 of the list, counted from 0, is not valid"),
        (frame_list(*[tiny_jpeg()] * 40), 413, "source_too_large", "more than 1024 bytes"),
    ],
)
def test_an_invalid_frame_list_is_rejected(
    url: str, status: int, kind: str, words: str, client: TestClient, uploads: Path
) -> None:
    error = error_of(client.post(ROUTE, json={"prompt": "What?", "video_url": url}), status)
    assert (error["type"], error["param"]) == (kind, "video_url")
    assert words in error["message"]
    assert not uploads.exists() or list(uploads.iterdir()) == []


@pytest.mark.parametrize(
    "video",
    [
        {"video_url": "https://example.com/cat.mp4"},
        {"video_url": "data:video/mp4;base64,AAAA"},
        {"video_path": "cat.mp4"},
        {"file_id": "file-1"},
    ],
)
def test_sample_fps_is_rejected_for_other_videos(video: dict[str, str], client: TestClient) -> None:
    error = error_of(client.post(ROUTE, json={"prompt": "What?", "sample_fps": 2, **video}), 400)
    assert (error["type"], error["param"]) == ("invalid_request", "sample_fps")
    assert "fps and nframes say how many" in error["message"]


@pytest.mark.parametrize("stream", ["true", "false"])
@pytest.mark.parametrize("place", [0, 1, 4])
def test_an_upload_is_deleted_after_a_failure(
    stream: str, place: int, client: TestClient, orchestrator: FakeOrchestrator, uploads: Path
) -> None:
    orchestrator.events = (*WHOLE[:place], errors.EngineFailed("refused"))
    client.post(ROUTE, data={"prompt": "What?", "stream": stream}, files={"video": ("cat.mp4", VIDEO_BYTES)})
    assert orchestrator.uploaded == [VIDEO_BYTES]
    assert list(uploads.iterdir()) == []


def test_an_upload_is_deleted_after_its_stream(
    client: TestClient, orchestrator: FakeOrchestrator, uploads: Path
) -> None:
    fields = {"prompt": "What?", "stream": "true"}
    response = client.post(ROUTE, data=fields, files={"video": ("cat.mp4", VIDEO_BYTES)})
    assert events_of(response.text)[-1][0] == "answer"
    assert orchestrator.uploaded == [VIDEO_BYTES]
    assert list(uploads.iterdir()) == []


def test_a_rejected_prompt_leaves_no_upload(client: TestClient, uploads: Path) -> None:
    error_of(client.post(ROUTE, data={"prompt": " "}, files={"video": ("cat.mp4", VIDEO_BYTES)}), 400)
    assert list(uploads.iterdir()) == []


def test_an_empty_file_is_rejected(client: TestClient, uploads: Path) -> None:
    error = error_of(client.post(ROUTE, data={"prompt": "What?"}, files={"video": ("a.mp4", b"")}), 400)
    assert "The file is empty" in error["message"]
    assert list(uploads.iterdir()) == []


def test_a_data_url_above_the_limit_is_rejected(client: TestClient) -> None:
    url = "data:video/mp4;base64," + base64.b64encode(b"x" * 1025).decode()
    error = error_of(client.post(ROUTE, json={"prompt": "What?", "video_url": url}), 413)
    assert error["param"] == "video_url"
