"""Requests, and what is read from responses, without a server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from longtake import AnalysisState, ServerError, ServerPath, calls
from longtake.parsing import parsed
from longtake.requests import Upload
from tests.longtake.bodies import ANALYSIS
from tests.longtake.fake_server import ID, URL

STATE: dict[str, Any] = {
    "id": ID,
    "status": "running",
    "created_at": 1,
    "model": "longtake-demo",
    "prompt": "?",
    "video": "cat.mp4",
}


def test_a_video_is_named_in_a_field_or_uploaded() -> None:
    file_id = "file-" + "0" * 32
    fields = {"prompt": "?"}
    assert calls.analyze(URL, fields, None).request.fields == {"prompt": "?", "video_url": URL}
    assert calls.analyze(file_id, fields, None).request.fields == {"prompt": "?", "file_id": file_id}
    assert calls.analyze(ServerPath("a.mp4"), fields, None).request.fields == {"prompt": "?", "video_path": "a.mp4"}
    uploading = calls.analyze("a.mp4", fields, None).request
    assert (uploading.fields, uploading.upload) == ({"prompt": "?"}, Upload("video", Path("a.mp4")))


def test_a_stream_is_the_same_request_with_a_field_more() -> None:
    request = calls.stream(URL, {"prompt": "?"}, None)
    assert (request.method, request.path) == ("POST", "/v1/analyses")
    assert request.fields == {"prompt": "?", "video_url": URL, "stream": True}


def test_submitting_reads_the_id() -> None:
    call = calls.submit(URL, {"prompt": "?"}, None, "once")
    assert (call.request.params, call.request.headers) == ({"wait": "false"}, {"Idempotency-Key": "once"})
    assert call.read({"object": "analysis", "id": ID}) == ID
    with pytest.raises(ServerError, match="does not store analyses"):
        call.read(ANALYSIS)


def test_only_a_running_analysis_is_cancelled() -> None:
    running = parsed(AnalysisState, STATE)
    call = calls.cancel_analysis(running)
    assert (call.request.method, call.request.path) == ("DELETE", f"/v1/analyses/{ID}")
    for status in ("completed", "failed", "cancelled"):
        with pytest.raises(ServerError, match=f"{status} already; `delete` removes it") as caught:
            calls.cancel_analysis(parsed(AnalysisState, STATE | {"status": status}))
        assert (caught.value.status, caught.value.type) == (409, "already_finished")


def test_a_page_knows_the_call_for_the_next() -> None:
    call = calls.list_analyses("running", 2)
    page = call.read({"data": [STATE], "has_more": True, "last_id": ID})
    assert [state.id for state in page.items] == [ID]
    assert page.following is not None
    assert page.following.request.params == {"limit": 2, "after": ID, "status": "running"}
    assert page.following.read({"data": [], "has_more": False, "last_id": None}).following is None
