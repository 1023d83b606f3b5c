"""A film that is uploaded in pieces."""

from __future__ import annotations

import os

from pipeline.sources import ResumableUploads

MIB = 1024**2
FILM = os.urandom(20 * MIB + 7)  # three parts in S3
ABOUT = {"file_name": "Urlaub ☀.mp4", "purpose": "user_data"}


def send(uploads: ResumableUploads, upload_id: str, start: int, stop: int, *, block: int = MIB) -> None:
    with uploads.append(upload_id, start) as appender:
        for place in range(start, stop, block):
            appender.write(FILM[place : min(place + block, stop)])
