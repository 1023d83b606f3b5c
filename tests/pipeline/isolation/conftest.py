"""Fixtures that tests of isolation share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipeline.isolation.process import IsolatedProcess
from tests.pipeline.isolation.fake_worker import FAKE_WORKER


@pytest.fixture
def process() -> Iterator[IsolatedProcess]:
    process = IsolatedProcess(FAKE_WORKER)
    yield process
    process.close()
