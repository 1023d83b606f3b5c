"""Open videos by their URL, as the stages do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipeline.config import SourceSettings
from pipeline.errors import LongtakeError
from pipeline.sources import VideoLibrary
from pipeline.types import HttpUrl, HttpVideo
from tests.pipeline.sources.contents import content_of

VIDEO = os.urandom(300_000)


def fetch(library: VideoLibrary, url: str, expected: str | None = None) -> tuple[str, bytes]:
    with library.open(HttpVideo(HttpUrl.parse(url)), expected) as copy:
        content = content_of(copy)
        assert copy.size_bytes == len(content)
        return copy.fingerprint, content


def refusal(library: VideoLibrary, url: str, expected: str | None = None) -> LongtakeError:
    with pytest.raises(LongtakeError) as caught, library.open(HttpVideo(HttpUrl.parse(url)), expected):
        pass
    return caught.value


def cached(settings: SourceSettings) -> list[Path]:
    return list(settings.cache_dir.glob("*"))
