"""Requests to `POST /v1/chat/completions`."""

from __future__ import annotations

import base64
from typing import Any

from tests.deployments.api.native_requests import tiny_jpeg

ROUTE = "/v1/chat/completions"
VIDEO_PART = {"type": "video_url", "video_url": {"url": "https://example.com/cat.mp4"}}
TEXT_PART = {"type": "text", "text": "What happens?"}
USER = {"role": "user", "content": [VIDEO_PART, TEXT_PART]}
ANSWER = {"role": "assistant", "content": "A cat sits."}
MORE = {"role": "user", "content": "And then?"}
ASKED: dict[str, Any] = {"model": "longtake-demo", "messages": [USER]}


def frame_part() -> dict[str, Any]:
    url = "data:image/jpeg;base64," + base64.b64encode(tiny_jpeg()).decode()
    return {"type": "image_url", "image_url": {"url": url}}
