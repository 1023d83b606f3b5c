"""AnalysisRunner without Serve: what it wakes, and what its health check says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from deployments.analysis_runner import AnalysisRunner
from deployments.config import AppSettings
from deployments.jobs.stored_runs import StoredRuns
from deployments.model_choice import choose_model
from pipeline.config import SourceSettings, StoreSettings
from tests.deployments.fake_handles import FakeHandle


@pytest.fixture
def app_settings(tmp_path: Path) -> AppSettings:
    return AppSettings(
        sources=SourceSettings(upload_store=str(tmp_path / "uploads")), store=StoreSettings(data_dir=tmp_path / "data")
    )


def runner_of(settings: AppSettings) -> AnalysisRunner:
    return AnalysisRunner(FakeHandle(), settings, choose_model(settings, num_gpus=0, vllm_has_cuda=False))


async def _end(runner: AnalysisRunner) -> None:
    for task in runner._tasks:
        task.cancel()
    await asyncio.gather(*runner._tasks, return_exceptions=True)


async def test_a_runner_that_works_is_healthy_and_can_be_woken(
    app_settings: AppSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    wakes: list[StoredRuns] = []

    def wake(self: StoredRuns) -> None:
        wakes.append(self)

    monkeypatch.setattr(StoredRuns, "wake", wake)
    runner = runner_of(app_settings)
    try:
        await runner.wake()
        assert len(wakes) == 1
        await asyncio.sleep(0.05)
        await runner.check_health()
    finally:
        await _end(runner)


async def test_what_ended_the_work_fails_the_health_check(
    app_settings: AppSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run(self: StoredRuns) -> None:
        raise ValueError("a defect")

    monkeypatch.setattr(StoredRuns, "run", run)
    runner = runner_of(app_settings)
    try:
        await asyncio.sleep(0.05)
        with pytest.raises(ValueError, match="a defect"):
            await runner.check_health()
    finally:
        await _end(runner)
