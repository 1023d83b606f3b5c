"""The server's HTTP application on a real port, over an Orchestrator that plays a prepared analysis."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from tests.deployments.conftest import app, orchestrator, service, settings, store, uploads
from tests.longtake.bodies import ANALYSIS
from tests.longtake.fake_server import EVENTS, FakeAnalyses, served

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


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A file that only a fake server takes for a video."""
    file = tmp_path / "cat.mp4"
    file.write_bytes(b"\0\0\0\x18ftypisom" + b"\0" * 200_000)
    return file


@pytest.fixture
def analyses(monkeypatch: pytest.MonkeyPatch) -> FakeAnalyses:
    """A stored analysis whose streams break, and a client that reconnects twice at once."""
    monkeypatch.setattr("longtake.resumption.PAUSES_SECONDS", (0.0, 0.0))
    return FakeAnalyses(EVENTS, ANALYSIS)


@pytest.fixture
def stored(analyses: FakeAnalyses) -> Iterator[str]:
    """The URL of a server with that analysis."""
    with served(analyses.app) as url:
        yield url
