"""Build requests to the server, and parse its responses."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from httpx import Response


def error_of(response: Response, status: int) -> dict[str, Any]:
    """The error in a response, whose shape is checked, as is that it tells nothing about the host."""
    assert response.status_code == status, response.text
    body = response.json()
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    error.pop("code", None)  # in OpenAI's dialect
    assert set(error) == {"type", "message", "param"}
    assert error["message"]
    check_discreet(response.text)
    return error


def check_discreet(text: str) -> None:
    for secret in ("Traceback", 'File "', "host_path", str(Path.home()) + "/", "pid=", "ip="):
        assert secret not in text


def frame_list(*images: bytes) -> str:
    """The URL of a video made of images, as vLLM has it."""
    return "data:video/jpeg;base64," + ",".join(base64.b64encode(image).decode() for image in images)


def events_of(text: str) -> list[tuple[str | None, Any]]:
    """(name, data) of each server-sent event, comments left out."""
    events = []
    for block in text.split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if not lines:
            continue
        fields = dict(line.split(": ", 1) for line in lines)
        data = fields["data"]
        events.append((fields.get("event"), data if data == "[DONE]" else json.loads(data)))
    return events
