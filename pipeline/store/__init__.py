"""Stored analyses: what was asked, what happened, what was answered, and who runs what.

Everything here is synchronous; callers run it in threads.
"""

from pipeline.store.opening import AnalysisStore, open_store
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
    "AnalysisAbout",
    "AnalysisPage",
    "AnalysisRecord",
    "AnalysisStatus",
    "AnalysisStore",
    "ClaimedRun",
    "DueWebhook",
    "IdempotencyKey",
    "NewAnalysis",
    "NewEvent",
    "Progress",
    "StoredEvent",
    "StoredJob",
    "open_store",
]
