"""A real PostgreSQL server, which the tests start."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg


@contextmanager
def postgresql_server() -> Iterator[str]:
    """The URL of a server, which ends with the block."""
    # Not below pytest's own folder, which is for its owner: run by root, the server runs as a user of its own.
    folder = tempfile.mkdtemp(prefix="longtake-postgresql-")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its platformdirs
        import pgserver
    server = pgserver.get_server(folder, cleanup_mode="delete")
    yield server.get_uri()
    server.cleanup()


def new_database(server_url: str) -> str:
    """The URL of an empty database of that server."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
    return server_url.replace("/postgres?", f"/{name}?")
