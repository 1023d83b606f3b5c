"""The synchronous store: its parts over one database."""

from __future__ import annotations

import time
from dataclasses import dataclass

from pipeline.config import StoreSettings
from pipeline.store.analyses import Analyses
from pipeline.store.answers import Answers
from pipeline.store.database import Clock, Database
from pipeline.store.due_webhooks import DueWebhooks
from pipeline.store.leases import Leases
from pipeline.store.migrating import migrate
from pipeline.store.polling import Polling
from pipeline.store.upkeep import Upkeep


@dataclass(frozen=True)
class AnalysisStore:
    """One per process. Thread-safe."""

    analyses: Analyses
    leases: Leases
    answers: Answers
    webhooks: DueWebhooks
    upkeep: Upkeep
    polling: Polling
    database: Database

    def close(self) -> None:
        self.database.close()


def open_store(settings: StoreSettings, *, clock: Clock = time.time) -> AnalysisStore:
    """Open the configured database and bring its tables up to date. Raises StoreFailed."""
    database = Database(settings)
    migrate(database)
    keep_seconds = settings.keep_results_seconds
    return AnalysisStore(
        analyses=Analyses(database, clock, keep_seconds=keep_seconds, max_queued=settings.max_queued),
        leases=Leases(database, clock, lease_seconds=settings.lease_seconds, keep_seconds=keep_seconds),
        answers=Answers(database, clock),
        webhooks=DueWebhooks(database, clock),
        upkeep=Upkeep(database, clock, keep_seconds=keep_seconds),
        polling=Polling(database),
        database=database,
    )
