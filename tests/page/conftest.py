"""Headless Chromium, and the real application over an Orchestrator that tells a film's truth."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import httpx
import pytest
import uvicorn
from playwright.sync_api import Browser, Page, sync_playwright

from deployments.api.event_feeds import EventFeeds
from deployments.api.service import Service, current_service
from deployments.config import AppSettings
from deployments.ingress import build_http_app
from deployments.jobs.leased_analyses import LeasedAnalyses
from deployments.model_choice import DEMO_MODEL, choose_model
from deployments.serving.embedded_server import free_port
from pipeline.config import SourceSettings, StoreSettings
from pipeline.sources import open_resumable_uploads, open_upload_store
from pipeline.store import AsyncAnalysisStore, open_store
from tests.page.fakes import FakeOrchestrator
from tools.demo_model.scenes import Film, Split, random_film
from tools.truth.clips import Clip

BUILD = Path(__file__).resolve().parents[2] / "build"
CHROMIUM = "/usr/bin/chromium"
FILM_SECONDS, FILM_FPS = 600.0, Fraction(5)


@dataclass(frozen=True)
class FakeServer:
    url: str
    orchestrator: FakeOrchestrator
    http: httpx.Client


@pytest.fixture(scope="session")
def film() -> Film:
    """Ten minutes."""
    return random_film(Split.TEST, 30_000, width_px=426, height_px=240, duration_seconds=FILM_SECONDS)


@pytest.fixture(scope="session")
def film_path(film: Film) -> Path:
    return Clip("page-film", film, "h264", FILM_FPS).written(BUILD / "page")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if not shutil.which(CHROMIUM):
        pytest.fail(f"{CHROMIUM} is not there; install Debian's package chromium.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def server(film: Film, tmp_path: Path) -> Iterator[FakeServer]:
    settings = AppSettings(
        model=str(DEMO_MODEL),
        sources=SourceSettings(upload_store=str(tmp_path / "uploads"), cache_dir=str(tmp_path / "cache")),
        store=StoreSettings(data_dir=tmp_path / "data"),
    )
    orchestrator = FakeOrchestrator(film, settings.sources)
    choice = choose_model(settings, num_gpus=0, vllm_has_cuda=False)
    # Eleven chunks, with the hole and the damage where the tests know them.
    model = replace(choice, defaults=replace(choice.defaults, chunk_duration_seconds=60.0))
    store = AsyncAnalysisStore(open_store(settings.store))
    analyses = LeasedAnalyses(store, orchestrator, settings.store, model)
    service = Service(
        settings=settings,
        model=model,
        uploads=open_upload_store(settings.sources),
        resumable_uploads=open_resumable_uploads(settings.sources),
        orchestrator=orchestrator,
        analysis_store=store,
        feeds=EventFeeds(store),
        wake_runner=analyses.wake,
    )
    app = build_http_app()
    app.dependency_overrides[current_service] = lambda: service
    running = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=free_port(), log_level="warning"))
    thread = threading.Thread(target=asyncio.run, args=(_serve(running, analyses),), daemon=True)
    thread.start()
    while not running.started:
        assert thread.is_alive(), "uvicorn did not start"
        time.sleep(0.02)
    url = f"http://127.0.0.1:{running.config.port}/"
    with httpx.Client(base_url=url, trust_env=False) as http:
        yield FakeServer(url, orchestrator, http)
    running.should_exit = True
    thread.join(timeout=10)
    store.close()


async def _serve(server: uvicorn.Server, analyses: LeasedAnalyses) -> None:
    working = asyncio.ensure_future(analyses.run())
    await server.serve()
    working.cancel()
    await asyncio.wait([working])


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console said was wrong. A test that expects something takes it out."""
    return []


@pytest.fixture
def page(browser: Browser, server: FakeServer, complaints: list[str]) -> Iterator[Page]:
    """The page as it opens, on a desk's screen in a light room."""
    context = browser.new_context(viewport={"width": 1440, "height": 960}, color_scheme="light")
    page = context.new_page()
    page.set_default_timeout(15_000)
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(server.url)
    yield page
    context.close()
    assert complaints == []
