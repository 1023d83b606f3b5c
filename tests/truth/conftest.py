"""The whole graph for real, asked about films whose truth is known."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from deployments.model_choice import DEMO_MODEL
from deployments.serving.embedded_server import embedded_server
from longtake import Longtake


@pytest.fixture(scope="package")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Longtake]:
    folder = tmp_path_factory.mktemp("server")
    sources = {"upload_store": str(folder / "uploads"), "cache_dir": str(folder / "cache")}
    with embedded_server({"model": str(DEMO_MODEL), "sources": sources}) as url, Longtake(url) as client:
        yield client
