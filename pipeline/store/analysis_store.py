"""The store, ready for use."""

from __future__ import annotations

import time
from dataclasses import dataclass

from pipeline.config import StoreSettings
from pipeline.store.analyses import Analyses
from pipeline.store.answers import Answers
from pipeline.store.clock import Clock
from pipeline.store.database import Database
from pipeline.store.due_webhooks import Webhooks
from pipeline.store.migrating import migrate
from pipeline.store.polling import Polling
from pipeline.store.runs import Runs
from pipeline.store.upkeep import Upkeep


@dataclass(frozen=True)
class AnalysisStore:
    """One per process; thread-safe."""

    analyses: Analyses
    runs: Runs
    answers: Answers
    webhooks: Webhooks
    upkeep: Upkeep
    polling: Polling
    database: Database

    def close(self) -> None:
        self.database.close()


def open_store(settings: StoreSettings, *, clock: Clock = time.time) -> AnalysisStore:
    """Opens the database that the settings name, and makes or changes its tables. Raises StoreFailed."""
    database = Database(settings)
    migrate(database)
    keep_seconds = settings.keep_results_seconds
    return AnalysisStore(
        analyses=Analyses(database, clock, keep_seconds=keep_seconds, max_queued=settings.max_queued),
        runs=Runs(database, clock, lease_seconds=settings.lease_seconds, keep_seconds=keep_seconds),
        answers=Answers(database, clock),
        webhooks=Webhooks(database, clock),
        upkeep=Upkeep(database, clock, keep_seconds=keep_seconds),
        polling=Polling(database),
        database=database,
    )
