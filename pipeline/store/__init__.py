"""Stored analyses: what was asked, what happened, what was answered, and who runs what.

Everything here is synchronous; callers run it in threads.
"""

from pipeline.store.analysis_store import AnalysisStore, open_store
from pipeline.store.answers import answer_key
from pipeline.store.events import LAST_EVENTS, EventNames
from pipeline.store.records import (
    AnalysisAbout,
    AnalysisPage,
    AnalysisRecord,
    AnalysisStatus,
    ClaimedRun,
    DueWebhook,
    IdempotencyKey,
    NewAnalysis,
    NewEvent,
    Progress,
    StoredEvent,
    StoredJob,
)

__all__ = [
    "LAST_EVENTS",
    "AnalysisAbout",
    "AnalysisPage",
    "AnalysisRecord",
    "AnalysisStatus",
    "AnalysisStore",
    "ClaimedRun",
    "DueWebhook",
    "EventNames",
    "IdempotencyKey",
    "NewAnalysis",
    "NewEvent",
    "Progress",
    "StoredEvent",
    "StoredJob",
    "answer_key",
    "open_store",
]
