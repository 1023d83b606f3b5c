"""Servers for the client's tests: any application on a real port, and one that plays a stored analysis."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

from deployments.serving.embedded_server import free_port
from longtake import ChunkEvent, DeltaEvent, PlanEvent, ProgressEvent
from tests.longtake.bodies import ANALYSIS

URL = "https://example.com/cat.mp4"
PROMPT = "What happens?"
ID = "analysis-" + "0" * 32

KINDS = [PlanEvent, ChunkEvent, ProgressEvent, ChunkEvent, ProgressEvent, ProgressEvent, DeltaEvent, DeltaEvent]
"""Of the events before the answer in `tests/deployments/api/fakes.py`."""
EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("progress", {"stage": "chunks", "chunks_done": 1, "num_chunks": 2}),
    ("progress", {"stage": "chunks", "chunks_done": 2, "num_chunks": 2}),
    ("delta", {"text": "A cat "}),
    ("thumbnail", {"of": "a later version"}),
    ("answer", ANALYSIS),
]
"""Of a stored analysis."""


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The URL of `app`, on a port of its own."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < until, "uvicorn did not start"
        time.sleep(0.01)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(timeout=10)


class FakeAnalyses:
    """Plays one stored analysis, and breaks each stream after some events."""

    def __init__(self, events: list[tuple[str, dict[str, Any]]], answer: dict[str, Any] | None) -> None:
        self.events, self.answer = events, answer
        self.status = "running"
        self.events_per_stream = 2
        """After so many the connection breaks."""
        self.submitted: list[dict[str, Any]] = []
        """Fields of each request, with `wait` and the idempotency key."""
        self.pages: list[dict[str, str]] = []
        """Parameters of each request for a page."""
        self.app = FastAPI()
        self.app.add_api_route("/v1/analyses", self.submit, methods=["POST"])
        self.app.add_api_route("/v1/analyses", self.list, methods=["GET"])
        self.app.add_api_route("/v1/analyses/{analysis_id}", self.get, methods=["GET"])
        self.app.add_api_route("/v1/analyses/{analysis_id}", self.delete, methods=["DELETE"])
        self.app.add_api_route("/v1/analyses/{analysis_id}/export", self.export, methods=["GET"])
        self.app.add_api_route("/v1/analyses/{analysis_id}/events", self.follow, methods=["GET"])

    def state(self, number: int = 0) -> dict[str, Any]:
        return {
            "id": f"analysis-{number:032}",
            "object": "analysis",
            "status": self.status,
            "created_at": 1_700_000_000,
            "model": "longtake-demo",
            "prompt": PROMPT,
            "video": "cat.mp4",
            "progress": {"chunks_done": 1, "num_chunks": 2, "merging": False},
            "result": self.answer if self.status == "completed" else None,
            "metadata": {"of": "a test"},
            "in_a_later_version": [],
        }

    async def submit(self, request: Request) -> JSONResponse:
        self.submitted.append(
            {
                "wait": request.query_params.get("wait"),
                "key": request.headers.get("idempotency-key"),
                **json.loads(await request.body()),
            }
        )
        return JSONResponse(self.state(), 202, {"Location": f"/v1/analyses/{ID}"})

    async def list(self, request: Request) -> dict[str, Any]:
        self.pages.append(dict(request.query_params))
        after = int((request.query_params.get("after") or "analysis-0").removeprefix("analysis-"))
        numbers = range(after + 1, min(after + 3, 6))
        items = [self.state(number) for number in numbers]
        return {"object": "list", "data": items, "last_id": items[-1]["id"], "has_more": numbers[-1] < 5}

    async def get(self, analysis_id: str) -> dict[str, Any]:
        return self.state()

    async def delete(self, analysis_id: str) -> dict[str, Any]:
        if self.status == "running":
            self.status = "cancelled"
            return self.state()
        return {"id": analysis_id, "object": "analysis", "deleted": True}

    async def export(self, analysis_id: str, format: str) -> Response:
        if self.status != "completed":
            error = {"type": "analysis_not_completed", "message": f"The analysis is {self.status}.", "param": None}
            return JSONResponse({"error": error}, 409)
        return Response(f"{format} – of a cat\n", media_type="text/plain; charset=utf-8")

    async def follow(self, request: Request) -> StreamingResponse:
        after = int(request.headers.get("last-event-id", "0"))

        async def lines() -> AsyncIterator[str]:
            yield ": keep-alive\n\n"
            for number, (name, data) in list(enumerate(self.events, 1))[after:][: self.events_per_stream]:
                yield f"id: {number}\nevent: {name}\ndata: {json.dumps(data)}\n\n"
                yield ": keep-alive\n\n"
            if after + self.events_per_stream < len(self.events):
                raise ConnectionError("the connection breaks, in the middle of a chunk of HTTP's")

        return StreamingResponse(lines(), media_type="text/event-stream")
