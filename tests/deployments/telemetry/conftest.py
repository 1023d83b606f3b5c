"""Metrics in memory, and a collector of traces."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deployments.telemetry.fake_metrics import FakeMetrics, recorded


@pytest.fixture
def kept() -> Iterator[FakeMetrics]:
    with recorded() as kept:
        yield kept
