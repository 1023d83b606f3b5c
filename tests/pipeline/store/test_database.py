"""Transactions, and what becomes of the database's errors."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from pipeline.errors import StoreFailed
from pipeline.store import AnalysisStore
from pipeline.store.database import database_errors
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
