"""A runner deletes what has ended or expired, in the analysis store and among the uploads."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from deployments.jobs import upkeep
from deployments.jobs.upkeep import StoreUpkeep
from pipeline.config import SourceSettings, StoreSettings
from pipeline.errors import SourceNotFound
from pipeline.sources import REQUEST_PURPOSE, open_resumable_uploads, open_upload_store
from pipeline.sources.uploads.stored_files import ABANDONED_SECONDS
from pipeline.store import AnalysisStore, AsyncAnalysisStore, open_store
from tests.pipeline.store.samples import new


@pytest.fixture
def sources(tmp_path: Path) -> SourceSettings:
    return SourceSettings(upload_store=str(tmp_path / "uploads"))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[AnalysisStore]:
    store = open_store(StoreSettings(data_dir=tmp_path / "data", keep_results_seconds=1000))
    yield store
    store.close()


@pytest.fixture
def store_upkeep(store: AnalysisStore, sources: SourceSettings) -> StoreUpkeep:
    return StoreUpkeep(AsyncAnalysisStore(store), open_upload_store(sources), open_resumable_uploads(sources))


def uploaded(sources: SourceSettings, *, expires_at: int | None = None) -> str:
    uploads = open_upload_store(sources)
    return uploads.save([b"film"], file_name="a.mp4", purpose=REQUEST_PURPOSE, expires_at=expires_at).file_id


def make_old(folder: Path, upload_id: str) -> None:
    long_ago = time.time() - ABANDONED_SECONDS - 60
    (upload,) = folder.glob(f"*{upload_id.removeprefix('upload-')}*")
    for path in (*upload.iterdir(), upload):
        os.utime(path, (long_ago, long_ago))


async def test_the_upload_of_an_ended_analysis_is_deleted(
    store: AnalysisStore, sources: SourceSettings, store_upkeep: StoreUpkeep
) -> None:
    file_id = uploaded(sources)
    analysis_id = store.analyses.create(new(owned_file_id=file_id))[0].analysis_id
    await store_upkeep.sweep_analyses()
    assert open_upload_store(sources).get(file_id)
    store.analyses.cancel(analysis_id)
    await store_upkeep.sweep_analyses()
    with pytest.raises(SourceNotFound):
        open_upload_store(sources).get(file_id)
    assert store.upkeep.uploads_of_ended() == []
    assert store.analyses.get(analysis_id)  # its results stay


async def test_expired_files_and_abandoned_uploads_are_deleted(
    sources: SourceSettings, store_upkeep: StoreUpkeep
) -> None:
    kept, expired = uploaded(sources), uploaded(sources, expires_at=int(time.time()) - 1)
    resumable = open_resumable_uploads(sources)
    fresh, abandoned = (resumable.create(4, file_name="a.mp4", purpose="vision").upload_id for _ in range(2))
    make_old(Path(sources.upload_store), abandoned)
    await store_upkeep.sweep_uploads()
    assert open_upload_store(sources).newest_ids() == [kept] != [expired]
    assert resumable.get(fresh)
    with pytest.raises(SourceNotFound):
        resumable.get(abandoned)


async def test_sweeps_continue_after_a_failure(
    sources: SourceSettings, store_upkeep: StoreUpkeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "UPLOAD_SWEEP_SECONDS", 0.01)
    expired, failures = uploaded(sources, expires_at=int(time.time()) - 1), [OSError("the disk is away")]
    sweep = store_upkeep._resumable_uploads.sweep

    def fail_first() -> int:
        if failures:
            raise failures.pop()
        return sweep()

    monkeypatch.setattr(store_upkeep._resumable_uploads, "sweep", fail_first)
    task = asyncio.create_task(store_upkeep.run())
    end = time.monotonic() + 20
    while failures:
        assert time.monotonic() < end and not task.done()
        await asyncio.sleep(0.01)
    second = uploaded(sources, expires_at=int(time.time()) - 1)
    while {expired, second} & set(open_upload_store(sources).newest_ids()):
        assert time.monotonic() < end and not task.done()
        await asyncio.sleep(0.01)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
