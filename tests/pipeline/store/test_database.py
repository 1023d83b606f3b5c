"""Transactions, and what becomes of the database's errors."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from pipeline.config import StoreSettings
from pipeline.errors import StoreFailed
from pipeline.store import AnalysisStore
from pipeline.store.database import SQLITE_FILE, Database, database_errors
from pipeline.store.tables import ANALYSES, POLLED_EVENTS
from tests.pipeline.store.samples import new


def test_what_raises_is_rolled_back(store: AnalysisStore) -> None:
    analysis_id = store.analyses.create(new())[0].analysis_id

    def write_and_fail() -> None:
        with store.database.writing() as connection:
            connection.execute(sa.update(ANALYSES).values(model="another"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_and_fail()
    assert store.analyses.get(analysis_id).model == new().model


def test_foreign_keys_hold(store: AnalysisStore) -> None:
    row = {"analysis_id": "analysis-0", "last_event": 1}
    with pytest.raises(IntegrityError), store.database.writing() as connection:
        connection.execute(sa.insert(POLLED_EVENTS).values(row))


def test_a_statement_that_fails_is_no_part_of_the_message(store: AnalysisStore) -> None:
    with pytest.raises(StoreFailed) as caught, store.database.reading() as connection:
        connection.execute(sa.text("SELECT secret FROM nowhere"))
    assert "nowhere" not in caught.value.message
    assert "nowhere" in str(caught.value.__cause__)


def test_errors_of_the_disk_are_the_stores() -> None:
    with pytest.raises(StoreFailed), database_errors():
        raise OSError("No space left on device: /host_path")


@pytest.fixture
def any_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}


def written(folder: Path) -> Database:
    database = Database(StoreSettings(data_dir=folder))
    database.use_write_ahead_log()
    with database.writing() as connection:
        connection.execute(sa.text("CREATE TABLE IF NOT EXISTS a (b)"))
    return database


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o777])
@pytest.mark.usefixtures("any_umask")
def test_files_are_their_owners_alone_in_a_folder_that_exists(mode: int, tmp_path: Path) -> None:
    tmp_path.chmod(mode)
    with closing(written(tmp_path)):
        assert modes(tmp_path) == dict.fromkeys((SQLITE_FILE, f"{SQLITE_FILE}-wal", f"{SQLITE_FILE}-shm"), 0o600)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == mode, "the folder is the operator's"


@pytest.mark.parametrize("mode", [0o644, 0o664, 0o666, 0o640, 0o604])
@pytest.mark.usefixtures("any_umask")
def test_files_of_an_earlier_release_become_private_at_start(mode: int, tmp_path: Path) -> None:
    with closing(written(tmp_path)):
        for file in tmp_path.iterdir():
            file.chmod(mode)
        with closing(written(tmp_path)) as again:
            assert set(modes(tmp_path).values()) == {0o600}
            with again.reading() as connection:
                assert connection.execute(sa.text("SELECT count(*) FROM a")).scalar_one() == 0


def test_a_start_keeps_the_locks_of_a_connection_that_writes(tmp_path: Path) -> None:
    """POSIX locks end when a process closes any descriptor of the file."""
    with closing(written(tmp_path)) as first, first.writing() as connection:
        connection.execute(sa.text("INSERT INTO a VALUES (1)"))
        Database(StoreSettings(data_dir=tmp_path)).close()
        script = (
            "import sqlite3, sys; connection = sqlite3.connect(sys.argv[1], timeout=0);"
            "connection.execute('BEGIN IMMEDIATE')"
        )
        other = subprocess.run(
            [sys.executable, "-c", script, tmp_path / SQLITE_FILE], capture_output=True, text=True, check=False
        )
    assert "database is locked" in other.stderr
