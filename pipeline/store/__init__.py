"""Stored analyses: requests, events, results, leases and webhooks, in SQLite or PostgreSQL.

An *analysis* is a stored request with everything that came of it. A *runner* is a process that runs analyses. A *lease*
is a runner's exclusive right to run one analysis until it expires; a *run* is the work done under one lease. An *event*
is one numbered step of an analysis. The store decides by an event's kind and typed columns, and never reads its body.

`AnalysisStore` is synchronous; `AsyncAnalysisStore` runs the same methods in its own threads.
"""

from pipeline.store.analysis_store import AnalysisStore, open_store
from pipeline.store.answers import answer_key
from pipeline.store.async_store import AsyncAnalysisStore
from pipeline.store.records import (
    AnalysisAbout,
    AnalysisFailure,
    AnalysisPage,
    AnalysisRecord,
    AnalysisStatus,
    ClaimedAnalysis,
    DueWebhook,
    EventKind,
    IdempotencyKey,
    NewAnalysis,
    NewEvent,
    StoredEvent,
    StoredJob,
)

__all__ = [
    "AnalysisAbout",
    "AnalysisFailure",
    "AnalysisPage",
    "AnalysisRecord",
    "AnalysisStatus",
    "AnalysisStore",
    "AsyncAnalysisStore",
    "ClaimedAnalysis",
    "DueWebhook",
    "EventKind",
    "IdempotencyKey",
    "NewAnalysis",
    "NewEvent",
    "StoredEvent",
    "StoredJob",
    "answer_key",
    "open_store",
]
