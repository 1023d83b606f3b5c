"""A store on SQLite, and the same on a real PostgreSQL server that the tests start."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from pipeline.config import StoreSettings
from pipeline.store import AnalysisStore, open_store
from tests.postgresql import new_database


class FakeClock:
    """Unix time that tests move on."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        self.now += 0.001  # no two things happen at the same time
        return self.now


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> StoreSettings:
    """Of a store that is empty."""
    settings = StoreSettings(data_dir=tmp_path, lease_seconds=10, keep_results_seconds=1000, max_queued=50)
    if request.param == "sqlite":
        return settings
    url = new_database(request.getfixturevalue("postgresql"))
    return settings.model_copy(update={"url": SecretStr(url)})


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def opened(settings: StoreSettings, clock: FakeClock) -> Iterator[Callable[[], AnalysisStore]]:
    """Opens the store once more, as another process would."""
    stores: list[AnalysisStore] = []

    def open_another() -> AnalysisStore:
        stores.append(open_store(settings, clock=clock))
        return stores[-1]

    yield open_another
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Callable[[], AnalysisStore]) -> AnalysisStore:
    return opened()
