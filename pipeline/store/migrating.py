"""Migrate the tables to this release's schema, one process at a time."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.util.exc import CommandError

from pipeline.errors import StoreFailed
from pipeline.store.database import Database, database_errors

_ADVISORY_LOCK = 0x6C6F6E67
"""An arbitrary number, the same in every release."""


def migrate(database: Database) -> None:
    """Create or change the tables; other processes that start meanwhile wait. Raises StoreFailed."""
    if database.sqlite_path is not None:
        with _locked(database.sqlite_path):
            database.use_write_ahead_log()
            _upgrade(database)
    else:
        _upgrade(database)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    # Not SQLite's own lock: the journal mode changes outside transactions.
    with database_errors(), path.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _upgrade(database: Database) -> None:
    config = Config()
    config.set_main_option("script_location", "pipeline.store:migrations")
    with database.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise StoreFailed(
                "The database of analyses was created by a newer release of Longtake. Run that release, or set another "
                "store.url or store.data_dir."
            ) from error
