"""The running graph in parts, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.graph.running import RunningGraph
from tests.otlp import Collector


@pytest.fixture(scope="package")
def server(graph: RunningGraph) -> str:
    """The URL of the server."""
    return graph.url


@pytest.fixture(scope="package")
def media(graph: RunningGraph) -> Path:
    """The server's media root."""
    return graph.media


@pytest.fixture(scope="package")
def uploads(graph: RunningGraph) -> Path:
    """The server's upload store."""
    return graph.uploads


@pytest.fixture(scope="package")
def web(graph: RunningGraph) -> str:
    """The address of a web server over the media root."""
    return graph.web


@pytest.fixture(scope="package")
def traces(graph: RunningGraph) -> Collector:
    """What the server's deployments export."""
    return graph.traces


@pytest.fixture(scope="package")
def client(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server, timeout=240, trust_env=False) as client:
        yield client
