"""Opening, streaming and ending an analysis."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from tests.deployments.api.fakes import FakeOrchestrator
from tests.deployments.api.native_requests import ROUTE, VIDEO_BYTES


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
