"""Connections, transactions and the clock, and the one place that translates the database's errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from pipeline.config import StoreSettings
from pipeline.errors import StoreFailed

Clock = Callable[[], float]
"""Returns Unix time in seconds, like `time.time`."""

SQLITE_FILE = "longtake.db"
BUSY_SECONDS = 30
"""Seconds a writer waits for the previous one: SQLite allows one at a time."""
CONNECT_SECONDS = 5
_WRITES = "longtake_writes"


class Database:
    """SQLite or PostgreSQL. Thread-safe."""

    def __init__(self, settings: StoreSettings) -> None:
        """Raises StoreFailed if the SQLite file's folder cannot be created."""
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
        """Open a read transaction: a snapshot on SQLite; on PostgreSQL each statement sees its own moment."""
        with database_errors(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sa.Connection]:
        """Open a transaction that commits at the end of the block and rolls back if it raises."""
        with (
            database_errors(),
            self._engine.connect() as connection,
            connection.execution_options(**{_WRITES: True}).begin(),
        ):
            yield connection

    def use_write_ahead_log(self) -> None:
        """Switch SQLite to WAL, so that readers do not wait for writers. No other process may have it open."""
        with database_errors():
            connection = self._engine.raw_connection()  # the mode can only change outside transactions
            try:
                connection.cursor().execute("PRAGMA journal_mode = WAL")
            finally:
                connection.close()

    def close(self) -> None:
        self._engine.dispose()


@contextmanager
def database_errors() -> Iterator[None]:
    """Translate the database's errors to StoreFailed, except IntegrityError, which reports existing rows.

    Drivers' messages name hosts, users and statements; they stay the cause, for the log.
    """
    try:
        yield
    except IntegrityError:
        raise
    except (SQLAlchemyError, OSError) as error:
        raise StoreFailed(
            "The database of analyses failed or does not respond. Try again later; the server's log has the reason."
        ) from error


def _sqlite_engine(path: Path) -> sa.Engine:
    engine = sa.create_engine(sa.URL.create("sqlite", database=str(path)), connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: object) -> None:
        connection.isolation_level = None  # transactions begin below, not implicitly
        # Not strictly: one damaged text would fail the query for all rows.
        connection.text_factory = lambda raw: raw.decode(errors="backslashreplace")
        connection.execute("PRAGMA foreign_keys = ON")

    @event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A transaction that reads and then writes fails at once if another wrote in between, whatever the timeout.
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgresql_engine(url: str) -> sa.Engine:
    # Pings find connections that a restart of the server broke before they are used.
    return sa.create_engine(
        sa.make_url(url).set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        connect_args={"connect_timeout": CONNECT_SECONDS},
    )
