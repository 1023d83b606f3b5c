"""Events as JSON, field by field."""

from __future__ import annotations

from fastapi.testclient import TestClient

from tests.deployments.api.native_requests import ASKED, ROUTE
from tests.deployments.api.result_bodies import ANALYSIS, CHUNK_RESULT, FAILED_RESULT, VIDEO_INFO
from tests.deployments.api.wire import events_of


def test_stream_tells_things_as_they_happen(client: TestClient) -> None:
    response = client.post(ROUTE, json=ASKED | {"seed": 42, "stream": True})
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    events = events_of(response.text)
    answer = events[-1][1]
    answer.pop("notice")
    assert events == [
        (
            "plan",
            {
                "video_info": VIDEO_INFO,
                "num_chunks": 2,
                "chunk_duration": 60.0,
                "chunks": [
                    {
                        "chunk_index": 0,
                        "start_time": 0.0,
                        "end_time": 60.0,
                        "num_frames": 4,
                        "width": 1152,
                        "height": 640,
                    },
                    {
                        "chunk_index": 1,
                        "start_time": 58.0,
                        "end_time": 118.0,
                        "num_frames": 4,
                        "width": 1152,
                        "height": 640,
                    },
                ],
                "notices": ["A notice."],
            },
        ),
        ("chunk", CHUNK_RESULT),
        ("progress", {"stage": "chunks", "chunks_done": 1, "num_chunks": 2}),
        ("chunk", FAILED_RESULT),
        ("progress", {"stage": "chunks", "chunks_done": 2, "num_chunks": 2}),
        ("progress", {"stage": "merging", "chunks_done": 2, "num_chunks": 2}),
        ("delta", {"text": "A cat sits "}),
        ("delta", {"text": "all day."}),
        ("answer", ANALYSIS),
    ]
