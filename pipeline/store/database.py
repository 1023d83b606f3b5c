"""Connections, transactions, and the one place where errors of the database become ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from pipeline.config import StoreSettings
from pipeline.errors import StoreFailed

SQLITE_FILE = "longtake.db"
BUSY_SECONDS = 30
"""What a writer waits for the one before it: SQLite lets one write at a time."""
CONNECT_SECONDS = 5
_WRITES = "longtake_writes"


class Database:
    """SQLite or PostgreSQL. Thread-safe."""

    def __init__(self, settings: StoreSettings) -> None:
        """Raises StoreFailed where the folder of the SQLite file cannot be made."""
        self.sqlite_path: Path | None = None
        if settings.url is None:
            self.sqlite_path = settings.data_dir.expanduser() / SQLITE_FILE
            with database_errors():
                self.sqlite_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._engine = _sqlite_engine(self.sqlite_path)
        else:
            self._engine = _postgresql_engine(settings.url.get_secret_value())

    @contextmanager
    def reading(self) -> Iterator[sa.Connection]:
        """What is read in the block is of one moment on SQLite, and statement by statement on PostgreSQL."""
        with database_errors(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """A transaction: committed at the end of the block, rolled back where it raises."""
        with (
            database_errors(),
            self._engine.connect() as connection,
            connection.execution_options(**{_WRITES: True}).begin(),
        ):
            yield connection

    def use_write_ahead_log(self) -> None:
        """Of SQLite, whose readers then wait for no writer. Not while others open the file; it remembers it."""
        with database_errors():
            connection = self._engine.raw_connection()  # outside of transactions, where alone it can be changed
            try:
                connection.cursor().execute("PRAGMA journal_mode = WAL")
            finally:
                connection.close()

    def close(self) -> None:
        self._engine.dispose()


@contextmanager
def database_errors() -> Iterator[None]:
    """Messages of drivers name hosts, users and statements; they are the cause, for the log.

    What is there already is no failure of the database: IntegrityError passes.
    """
    try:
        yield
    except IntegrityError:
        raise
    except (SQLAlchemyError, OSError) as error:
        raise StoreFailed(
            "The database of analyses failed or does not answer. Try again later; the operator finds the reason in the "
            "server's log."
        ) from error


def _sqlite_engine(path: Path) -> sa.Engine:
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)), connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions begin below, and not where sqlite3 sees fit
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A transaction that reads and then writes would fail at once where another wrote in between: no wait helps it.
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql_engine(url: str) -> sa.Engine:
    # Connections that a restart of the server broke are noticed before they are used.
    return sa.create_engine(
        sa.make_url(url).set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        connect_args={"connect_timeout": CONNECT_SECONDS},
    )
