"""The tables that the code knows are those that the migrations create."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from pipeline.store import AnalysisStore
from pipeline.store.tables import METADATA


def test_the_migrations_create_the_tables(store: AnalysisStore) -> None:
    with store.database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, METADATA) == []
