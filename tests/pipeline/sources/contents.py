"""Read the content of a copy."""

from __future__ import annotations

from pipeline.sources import LocalCopy


def content_of(copy: LocalCopy) -> bytes:
    """All of it, fetched where it was not there."""
    with copy.video.open("rb") as file:
        return file.read()
