"""The asynchronous face has every method of the store, and runs them in its own few threads."""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pipeline.config import StoreSettings
from pipeline.errors import AnalysisNotFound
from pipeline.store import AnalysisStatus, AsyncAnalysisStore, open_store
from pipeline.store.async_store import MAX_THREADS
from tests.pipeline.store.samples import MODEL, new

PARTS = ("analyses", "leases", "answers", "webhooks", "upkeep", "polling")


@pytest.fixture
async def async_store(tmp_path: Path) -> AsyncIterator[AsyncAnalysisStore]:
    store = AsyncAnalysisStore(open_store(StoreSettings(data_dir=tmp_path)))
    yield store
    store.close()


async def test_calls_return_and_raise_what_the_store_does(async_store: AsyncAnalysisStore) -> None:
    record, is_new = await async_store.analyses.create(new())
    assert is_new and await async_store.analyses.get(record.analysis_id) == record
    claimed = await async_store.leases.claim([MODEL])
    assert claimed and claimed.lease.analysis_id == record.analysis_id
    assert (await async_store.analyses.page(limit=5, status=AnalysisStatus.QUEUED)).records == ()
    with pytest.raises(AnalysisNotFound):
        await async_store.analyses.get("analysis-0")


@pytest.mark.parametrize("part", PARTS)
async def test_every_method_has_its_counterpart(async_store: AsyncAnalysisStore, part: str) -> None:
    face = getattr(async_store, part)
    blocking = type(face._blocking)
    for name, method in inspect.getmembers(blocking, inspect.isfunction):
        if not name.startswith("_"):
            assert getattr(type(face), name).__wrapped__ is method


async def test_threads_are_few_and_named(async_store: AsyncAnalysisStore) -> None:
    of_other_stores = set(threading.enumerate())
    await asyncio.gather(*(async_store.analyses.page(limit=1) for _ in range(50)))
    started = set(threading.enumerate()) - of_other_stores
    names = [thread.name for thread in started if thread.name.startswith("store")]
    assert 0 < len(names) <= MAX_THREADS


async def test_a_closed_store_takes_no_calls(tmp_path: Path) -> None:
    store = AsyncAnalysisStore(open_store(StoreSettings(data_dir=tmp_path)))
    store.close()
    with pytest.raises(RuntimeError):
        await store.analyses.page(limit=1)
