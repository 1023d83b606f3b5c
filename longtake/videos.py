"""How a caller names a video, and how a request does."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeGuard

UPLOAD_ID = re.compile(r"file-[0-9a-f]{32}")


@dataclass(frozen=True)
class ServerPath:
    """A video on the server, below one of its media roots."""

    path: str


Video = str | Path | ServerPath
"""A local file to upload; an http, https, s3 or data URL; the id of an upload; or a `ServerPath`."""


def is_local_file(video: Video) -> TypeGuard[str | Path]:
    """Whether the video has to be uploaded: it is not a URL, the id of an upload or a path on the server."""
    if isinstance(video, str):
        return "://" not in video and not video.startswith("data:") and UPLOAD_ID.fullmatch(video) is None
    return isinstance(video, Path)


def video_fields(video: Video) -> dict[str, str]:
    """The request field that names a video which needs no upload."""
    if isinstance(video, ServerPath):
        return {"video_path": video.path}
    name = str(video)
    return {"file_id": name} if UPLOAD_ID.fullmatch(name) else {"video_url": name}
