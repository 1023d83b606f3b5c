"""The store for asynchronous callers: the methods of `AnalysisStore`, each awaited while a thread runs it."""

from __future__ import annotations

from pipeline.store.analyses import Analyses
from pipeline.store.analysis_store import AnalysisStore
from pipeline.store.answers import Answers
from pipeline.store.due_webhooks import DueWebhooks
from pipeline.store.leases import Leases
from pipeline.store.polling import Polling
from pipeline.store.upkeep import Upkeep
from pipeline.threads import InThreads, Threads, in_thread

MAX_THREADS = 8
"""Fewer than the 15 connections of SQLAlchemy's pool, so that no thread waits for one."""


class AsyncAnalyses(InThreads[Analyses]):
    create = in_thread(Analyses.create)
    get = in_thread(Analyses.get)
    page = in_thread(Analyses.page)
    events = in_thread(Analyses.events)
    last_events = in_thread(Analyses.last_events)
    cancel = in_thread(Analyses.cancel)
    delete = in_thread(Analyses.delete)


class AsyncLeases(InThreads[Leases]):
    claim = in_thread(Leases.claim)
    renew = in_thread(Leases.renew)
    held = in_thread(Leases.held)
    append = in_thread(Leases.append)
    complete = in_thread(Leases.complete)
    fail = in_thread(Leases.fail)
    release = in_thread(Leases.release)


class AsyncAnswers(InThreads[Answers]):
    find = in_thread(Answers.find)
    keep = in_thread(Answers.keep)


class AsyncDueWebhooks(InThreads[DueWebhooks]):
    claim = in_thread(DueWebhooks.claim)
    postpone = in_thread(DueWebhooks.postpone)
    settle = in_thread(DueWebhooks.settle)


class AsyncUpkeep(InThreads[Upkeep]):
    uploads_of_ended = in_thread(Upkeep.uploads_of_ended)
    upload_is_gone = in_thread(Upkeep.upload_is_gone)
    delete_expired = in_thread(Upkeep.delete_expired)
    fail_forgotten = in_thread(Upkeep.fail_forgotten)


class AsyncPolling(InThreads[Polling]):
    take = in_thread(Polling.take)
    counts = in_thread(Polling.counts)
    num_retried = in_thread(Polling.num_retried)


class AsyncAnalysisStore:
    """One per process."""

    def __init__(self, store: AnalysisStore) -> None:
        self._store = store
        self._threads = Threads("store", max_threads=MAX_THREADS)
        self.analyses = AsyncAnalyses(store.analyses, self._threads)
        self.leases = AsyncLeases(store.leases, self._threads)
        self.answers = AsyncAnswers(store.answers, self._threads)
        self.webhooks = AsyncDueWebhooks(store.webhooks, self._threads)
        self.upkeep = AsyncUpkeep(store.upkeep, self._threads)
        self.polling = AsyncPolling(store.polling, self._threads)

    def close(self) -> None:
        """Wait for running calls, then close the store."""
        self._threads.close()
        self._store.close()
