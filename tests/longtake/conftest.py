"""The server's HTTP application on a real port, over an Orchestrator that plays a prepared analysis."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from tests.deployments.conftest import app, orchestrator, service, settings, store, uploads
from tests.longtake.fake_server import served

__all__ = ["app", "orchestrator", "service", "settings", "store", "uploads"]


@pytest.fixture
def server(app: FastAPI) -> Iterator[str]:
    """The server's URL."""
    with served(app) as url:
        yield url


@pytest.fixture
def closed_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
