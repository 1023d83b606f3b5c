"""The running graph, asked about films whose truth is known."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from longtake import Longtake
from tests.graph.running import RunningGraph


@pytest.fixture(scope="package")
def client(graph: RunningGraph) -> Iterator[Longtake]:
    with Longtake(graph.url) as client:
        yield client
