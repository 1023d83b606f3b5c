"""Fixtures that tests of decoding share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.decoding.isolated_backends import decoding_process
from pipeline.isolation.process import IsolatedProcess
from tests.clips import ClipFolder, zeroed


@pytest.fixture(scope="module")
def process() -> Iterator[IsolatedProcess]:
    process = decoding_process()
    yield process
    process.close()


@pytest.fixture
def hole(clips: ClipFolder, tmp_path: Path) -> Path:
    """H.264 with key frames 0, 30, 60 and 90, in which some of the pictures from 30 on are gone."""
    return zeroed(clips.path("h264"), tmp_path / "hole.mp4", 0.3, 0.4)
