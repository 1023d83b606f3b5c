"""Requests to `POST /v1/analyses`, and the videos inside them."""

from __future__ import annotations

import io

from PIL import Image

ROUTE = "/v1/analyses"
ASKED = {"prompt": "What happens?", "video_url": "https://example.com/cat.mp4"}
VIDEO_BYTES = b"\0\0\0\x18ftypisom" + b"\0" * 2000


def tiny_jpeg(side_px: int = 16) -> bytes:
    file = io.BytesIO()
    Image.new("L", (side_px, side_px)).save(file, "JPEG", optimize=True)
    return file.getvalue()
