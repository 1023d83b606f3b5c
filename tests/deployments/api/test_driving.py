"""Opening, streaming and ending an analysis."""

from __future__ import annotations

import asyncio
import io
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from deployments.api import driving
from deployments.api.driving import Question, answer, open_job
from deployments.api.options import AnalysisOptions
from deployments.api.service import Service
from deployments.api.video_sources import FormFile
from pipeline.analysis import AnalysisDone, AnalysisEvent
from pipeline.errors import UnknownModel
from pipeline.sources import UploadStore, delete_if_present
from pipeline.types import LocalVideo, Prompt
from tests.deployments.api.fakes import FakeOrchestrator
from tests.deployments.api.native_requests import ROUTE, VIDEO_BYTES
from tests.deployments.listeners import SCOPE, Listener


async def test_an_upload_is_gone_when_the_client_leaves(
    app: FastAPI, orchestrator: FakeOrchestrator, uploads: Path
) -> None:
    """A client that closes its connection in the middle of a stream, by the ASGI protocol itself."""
    orchestrator.wait = asyncio.Event()  # never set: the plan comes, and then nothing
    head = 'content-disposition: form-data; name="{}"{}\r\n\r\n'
    parts = [
        head.format("prompt", "").encode() + b"What?",
        head.format("stream", "").encode() + b"true",
        head.format("video", '; filename="cat.mp4"').encode() + VIDEO_BYTES,
    ]
    body = b"".join(b"--x\r\n" + part + b"\r\n" for part in parts) + b"--x--\r\n"
    got_plan = asyncio.Event()
    messages: Iterator[dict[str, Any]] = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def receive() -> dict[str, Any]:
        if message := next(messages, None):
            return message
        await got_plan.wait()
        assert len(os.listdir(uploads)) == 1
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        if b"event: plan" in message.get("body", b""):
            got_plan.set()

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "path": ROUTE,
        "raw_path": ROUTE.encode(),
        "query_string": b"",
        "headers": [(b"content-type", b"multipart/form-data; boundary=x")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "scheme": "http",
        "root_path": "",
    }
    async with asyncio.timeout(10):
        await app(scope, receive, send)
        await orchestrator.ended.wait()
        while os.listdir(uploads):  # deleted in a thread
            await asyncio.to_thread(time.sleep, 0.01)


class SilentReply:
    """Writes nothing but the names of events."""

    def body(self, done: AnalysisDone) -> str:
        return "done"

    def events(self, event: AnalysisEvent) -> Iterator[bytes]:
        yield f"data: {type(event).__name__}\n\n".encode()

    def failure(self, error: Exception) -> Iterator[bytes]:
        yield b"data: failed\n\n"


async def test_a_disconnect_waits_until_the_upload_is_deleted(
    service: Service, orchestrator: FakeOrchestrator, uploads: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disconnect cancels whatever the stream awaits, but not its cleanup."""

    def delete_slowly(store: UploadStore, file_id: str) -> None:
        time.sleep(0.1)
        delete_if_present(store, file_id)

    monkeypatch.setattr(driving, "delete_if_present", delete_slowly)
    orchestrator.wait = asyncio.Event()  # never set: the plan comes, and then nothing
    video = FormFile(io.BytesIO(VIDEO_BYTES), "cat.mp4")
    question = Question(video, Prompt("What happens?"), AnalysisOptions())
    stream = await answer(question, service, lambda job: SilentReply(), stream=True)
    listener = Listener()
    sending = asyncio.ensure_future(stream(SCOPE, listener.receive, listener.send))
    await listener.has(b"PlanReady")
    assert len(os.listdir(uploads)) == 1
    listener.left.set()
    await asyncio.wait_for(sending, 5)
    assert orchestrator.ended.is_set()
    assert os.listdir(uploads) == []


async def test_an_answer_that_waits_is_the_replys_body(service: Service, orchestrator: FakeOrchestrator) -> None:
    question = Question(LocalVideo("cat.mp4"), Prompt("What happens?"), AnalysisOptions())
    assert await answer(question, service, lambda job: SilentReply()) == "done"
    assert orchestrator.ended.is_set()


async def test_an_unknown_model_is_refused_before_a_video_is_stored(service: Service, uploads: Path) -> None:
    video = FormFile(io.BytesIO(VIDEO_BYTES), "cat.mp4")
    question = Question(video, Prompt("What happens?"), AnalysisOptions(model="weather"))
    with pytest.raises(UnknownModel):
        async with open_job(question, service):
            pass
    assert os.listdir(uploads) == []


async def test_an_upload_may_outlive_its_job(service: Service, uploads: Path) -> None:
    video = FormFile(io.BytesIO(VIDEO_BYTES), "cat.mp4")
    question = Question(video, Prompt("What happens?"), AnalysisOptions())
    async with open_job(question, service) as opened:
        assert opened.owned_file_id
        opened.keep_upload()
    assert os.listdir(uploads) == [opened.owned_file_id]
