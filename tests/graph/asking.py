"""How tests ask the graph: bodies of requests, and what comes back."""

from __future__ import annotations

import json
import time
from typing import Any
from uuid import uuid4

import httpx

PROMPT = "Describe what happens."
SHORT = {"prompt": PROMPT, "max_tokens": 8, "temperature": 0, "seed": 1}
BODY = {
    "prompt": "What happens?",
    # What the model knows: of other films it says one thing as well as another, and what chunks share a batch decides.
    "video_path": "scenes.mp4",
    "chunk_duration": 5,
    "chunk_overlap": 0,
    "fps": 2,
    "max_tokens": 8,
    "temperature": 0,
    "seed": 1,
}
IDLE_CPU_PERCENT = 25


def analyze(client: httpx.Client, **fields: Any) -> dict[str, Any]:
    response = client.post("/v1/analyses", json=SHORT | fields)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json()
    return body


def stream(client: httpx.Client, **fields: Any) -> list[tuple[float, str, dict[str, Any]]]:
    """(when it came, name, data) of each event."""
    events = []
    with client.stream("POST", "/v1/analyses", json=SHORT | fields | {"stream": True}) as response:
        assert response.headers["content-type"].startswith("text/event-stream"), response.read()
        name = ""
        for line in response.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                events.append((time.monotonic(), name, json.loads(line.removeprefix("data: "))))
    return events


def fresh() -> dict[str, str]:
    """So that frames decoded before are not asked about instead of being decoded."""
    return {"cache_salt": uuid4().hex}
