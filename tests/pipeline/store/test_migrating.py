"""Processes that start at the same time migrate the tables once."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from pipeline.config import StoreSettings
from pipeline.errors import StoreFailed
from pipeline.store import AnalysisStore, open_store
from tests.pipeline.store.samples import new

ROOT = Path(__file__).parents[3]
OPEN = """
import sys
from pipeline.config import StoreSettings
from pipeline.store import open_store
store = open_store(StoreSettings.model_validate_json(sys.argv[1]))
print(len(store.analyses.page(limit=5).records))
"""


def test_many_processes_start_at_once(settings: StoreSettings) -> None:
    url = settings.url.get_secret_value() if settings.url else None
    arguments = settings.model_copy(update={"url": None}).model_dump_json(include={"data_dir"})
    if url:
        arguments = arguments[:-1] + f', "url": "{url}"}}'
    processes = [
        subprocess.Popen([sys.executable, "-c", OPEN, arguments], cwd=ROOT, stdout=subprocess.PIPE) for _ in range(4)
    ]
    assert [process.communicate()[0] for process in processes] == [b"0\n"] * 4
    assert all(process.returncode == 0 for process in processes)


def test_what_is_there_stays(store: AnalysisStore, opened: Callable[[], AnalysisStore]) -> None:
    record, _ = store.analyses.create(new())
    assert opened().analyses.get(record.analysis_id) == record


def test_a_newer_database_is_refused(store: AnalysisStore, settings: StoreSettings) -> None:
    with store.database.writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreFailed, match="newer release"):
        open_store(settings)


def test_sqlite_is_for_its_owner_and_lets_readers_in(tmp_path: Path) -> None:
    store = open_store(StoreSettings(data_dir=tmp_path / "data"))
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700
    with store.database.reading() as connection:
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"
    store.close()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreFailed):
        open_store(StoreSettings(data_dir=tmp_path / "file" / "data"))
