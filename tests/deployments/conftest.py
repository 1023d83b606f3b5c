"""The HTTP application, over an upload store of its own and an Orchestrator that plays a prepared analysis."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from deployments.api.event_feeds import EventFeeds
from deployments.api.service import Service, current_service
from deployments.config import AppSettings
from deployments.ingress import build_http_app
from deployments.model_choice import choose_model
from pipeline.config import SourceSettings, StoreSettings
from pipeline.sources import open_resumable_uploads, open_upload_store
from pipeline.store import AnalysisStore, AsyncAnalysisStore, open_store
from tests.deployments.api.fakes import FakeOrchestrator
from tests.deployments.telemetry.tracing_provider import flush, restart_provider
from tests.otlp import Collector, collecting


@pytest.fixture
def uploads(tmp_path: Path) -> Path:
    """The folder in which uploads are kept."""
    folder = tmp_path / "host_path_of_uploads"
    folder.mkdir()
    return folder


@pytest.fixture
def orchestrator(uploads: Path) -> FakeOrchestrator:
    return FakeOrchestrator(uploads)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AnalysisStore]:
    store = open_store(StoreSettings(data_dir=tmp_path / "host_path_of_data"))
    yield store
    store.close()


@pytest.fixture
def settings(uploads: Path) -> AppSettings:
    return AppSettings(
        lora_adapters={"sports": "host_path_of_adapters/sports"},
        sources=SourceSettings(upload_store=str(uploads), max_video_bytes=3 * 1024**2, max_data_url_bytes=1024),
    )


@pytest.fixture
def service(orchestrator: FakeOrchestrator, settings: AppSettings, store: AnalysisStore) -> Service:
    async_store = AsyncAnalysisStore(store)
    return Service(
        settings=settings,
        model=choose_model(settings, num_gpus=0, vllm_has_cuda=False),
        uploads=open_upload_store(settings.sources),
        resumable_uploads=open_resumable_uploads(settings.sources),
        orchestrator=orchestrator,
        analysis_store=async_store,
        feeds=EventFeeds(async_store),
        wake_runner=lambda: None,
    )


@pytest.fixture
def app(service: Service) -> FastAPI:
    app = build_http_app()
    app.dependency_overrides[current_service] = lambda: service
    return app


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Traces are on, and come here."""
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        restart_provider()
        yield collector
        flush()
    restart_provider()
