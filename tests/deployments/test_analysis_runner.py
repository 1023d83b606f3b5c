"""AnalysisRunner without Ray: its handle is a fake, everything below it is real."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from deployments.analysis_runner import AnalysisRunner
from deployments.config import AppSettings
from deployments.jobs import leased_analyses
from deployments.jobs.leased_analyses import LeasedAnalyses
from deployments.model_choice import choose_model
from pipeline.analysis import AnalysisEvent, AnalysisJob
from pipeline.config import SourceSettings, StoreSettings
from pipeline.sources import REQUEST_PURPOSE, open_upload_store
from pipeline.store import AnalysisStatus, AnalysisStore, open_store
from tests.deployments.fake_handles import FakeHandle
from tests.deployments.fake_orchestrator import FakeOrchestrator
from tests.pipeline.store.samples import new


class FakeStream:
    """A streaming call, as a handle returns it."""

    def __init__(self, events: AsyncGenerator[AnalysisEvent, None]) -> None:
        self._events = events
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True

    def __aiter__(self) -> AsyncIterator[AnalysisEvent]:
        return self._events


class StreamingHandle:
    """The Orchestrator's handle."""

    def __init__(self, orchestrator: FakeOrchestrator) -> None:
        self._orchestrator = orchestrator
        self.calls: list[FakeStream] = []
        self.analyze = self

    def options(self, *, stream: bool) -> StreamingHandle:
        assert stream
        return self

    def remote(self, job: AnalysisJob) -> FakeStream:
        self.calls.append(FakeStream(self._orchestrator.analyze(job)))
        return self.calls[-1]


@pytest.fixture
def settings(tmp_path: Path) -> AppSettings:
    return AppSettings(
        lora_adapters={"sports": "a/folder"},
        sources=SourceSettings(upload_store=str(tmp_path / "uploads")),
        store=StoreSettings(data_dir=tmp_path / "data"),
    )


@pytest.fixture
def store(settings: AppSettings) -> Iterator[AnalysisStore]:
    store = open_store(settings.store)
    yield store
    store.close()


@pytest.fixture
def handle(store: AnalysisStore, settings: AppSettings) -> StreamingHandle:
    return StreamingHandle(FakeOrchestrator(store, choose_model(settings, num_gpus=0, vllm_has_cuda=False)))


@pytest.fixture
async def runner(handle: StreamingHandle, settings: AppSettings) -> AsyncIterator[AnalysisRunner]:
    choice = choose_model(settings, num_gpus=0, vllm_has_cuda=False)
    runner = AnalysisRunner(handle, settings, choice)  # type: ignore[arg-type]
    yield runner
    for task in runner._tasks:
        task.cancel()
        with suppress(asyncio.CancelledError, ZeroDivisionError):
            await task


def ask(store: AnalysisStore, **fields: Any) -> str:
    return store.analyses.create(new(model="longtake-demo", **fields))[0].analysis_id


async def until(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


async def test_it_runs_what_is_stored_and_deletes_its_upload(
    store: AnalysisStore, settings: AppSettings, runner: AnalysisRunner
) -> None:
    uploads = open_upload_store(settings.sources)
    file_id = uploads.save([b"film"], file_name="a.mp4", purpose=REQUEST_PURPOSE).file_id
    analysis_id = ask(store, owned_file_id=file_id)
    await until(lambda: store.analyses.get(analysis_id).is_finished)
    assert store.analyses.get(analysis_id).status == AnalysisStatus.COMPLETED
    await until(lambda: uploads.newest_ids() == [])
    await runner.check_health()


async def test_it_is_woken(store: AnalysisStore, runner: AnalysisRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leased_analyses, "TICK_SECONDS", 60.0)
    await asyncio.sleep(0.6)  # it waits, after the last tick of a quarter of a second
    analysis_id = ask(store)
    await runner.wake()
    await until(lambda: store.analyses.get(analysis_id).is_finished)


async def test_a_cancelled_analysis_cancels_its_call(
    store: AnalysisStore, handle: StreamingHandle, runner: AnalysisRunner
) -> None:
    handle._orchestrator.chunk_seconds = 60.0
    analysis_id = ask(store)
    await until(lambda: len(handle.calls) == 1 and "plan" in kinds(store, analysis_id))
    store.analyses.cancel(analysis_id)
    await until(lambda: handle.calls[0].is_cancelled)


def kinds(store: AnalysisStore, analysis_id: str) -> list[str]:
    return [event.kind for event in store.analyses.events(analysis_id)]


async def test_it_is_unhealthy_once_its_work_has_ended(runner: AnalysisRunner) -> None:
    async def fail() -> None:
        raise ZeroDivisionError

    runner._tasks.append(asyncio.ensure_future(fail()))
    await asyncio.sleep(0)
    with pytest.raises(ZeroDivisionError):
        await runner.check_health()


def runner_of(settings: AppSettings) -> AnalysisRunner:
    return AnalysisRunner(FakeHandle(), settings, choose_model(settings, num_gpus=0, vllm_has_cuda=False))


async def _end(runner: AnalysisRunner) -> None:
    for task in runner._tasks:
        task.cancel()
    await asyncio.gather(*runner._tasks, return_exceptions=True)


async def test_a_runner_that_works_is_healthy_and_can_be_woken(
    settings: AppSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    wakes: list[LeasedAnalyses] = []

    def wake(self: LeasedAnalyses) -> None:
        wakes.append(self)

    monkeypatch.setattr(LeasedAnalyses, "wake", wake)
    runner = runner_of(settings)
    try:
        await runner.wake()
        assert len(wakes) == 1
        await asyncio.sleep(0.05)
        await runner.check_health()
    finally:
        await _end(runner)


async def test_what_ended_the_work_fails_the_health_check(
    settings: AppSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(self: LeasedAnalyses) -> None:
        raise ValueError("a defect")

    monkeypatch.setattr(LeasedAnalyses, "run", run)
    runner = runner_of(settings)
    try:
        await asyncio.sleep(0.05)
        with pytest.raises(ValueError, match="a defect"):
            await runner.check_health()
    finally:
        await _end(runner)
