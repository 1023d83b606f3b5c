"""Runs stored analyses: claims queued ones, renews leases, stops cancelled runs, and retries interrupted ones."""

import asyncio
import time
from collections.abc import Collection
from contextlib import aclosing, suppress
from dataclasses import replace
from functools import partial

from deployments.jobs.run_journal import RunJournal
from deployments.logs import logger
from deployments.model_choice import ModelChoice
from deployments.orchestrator_client import Analyzer
from deployments.serving.ray_errors import INTERNAL_ERROR, own_error
from pipeline import errors
from pipeline.analysis import AnalysisDone, AnalysisEvent, ChunkDone, Lease
from pipeline.config import StoreSettings
from pipeline.store import AsyncAnalysisStore, ClaimedAnalysis

TICK_SECONDS = 0.25
"""Pause between polls of the store for queued and cancelled analyses; a cancelled run stops within a second of one."""
RENEWALS_PER_LEASE = 3
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
"""Pause before an interrupted analysis is retried, doubled each time."""
BUSY_PAUSE_SECONDS = 2.0
_TRANSIENT = (errors.ServiceError, errors.SourceUnavailable)
"""Errors that a later run may not meet, except for RequestPoisoned: each run would crash replicas again."""
_TRANSIENT_CHUNK_FAILURES = frozenset(
    error.type_name()
    for error in (errors.ReplicaLost, errors.EngineDied, errors.EngineBusy, errors.DeadlineExceeded, errors.StoreFailed)
) | {INTERNAL_ERROR}
"""A server that shuts down fails chunks with these; after its restart the analysis should have their answers."""


class Interrupted(Exception):
    """A run lacks an answer that a later run may get."""


class LeasedAnalyses:
    """The analyses that one runner runs. `run` continues until it is cancelled."""

    def __init__(
        self, store: AsyncAnalysisStore, orchestrator: Analyzer, settings: StoreSettings, choice: ModelChoice
    ) -> None:
        self._store = store
        self._orchestrator = orchestrator
        self._settings = settings
        self._choice = choice
        self._models = (choice.served_model_name, *choice.lora_adapters)
        self._tasks: dict[Lease, asyncio.Task[None]] = {}
        self._renewed_at = time.monotonic()
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Poll the store now."""
        self._woken.set()

    async def run(self) -> None:
        try:
            while True:
                await self._tick()
                # Not wait_for: in Python 3.11 it loses a cancellation that arrives together with its result.
                with suppress(TimeoutError):
                    async with asyncio.timeout(TICK_SECONDS):
                        await self._woken.wait()
                self._woken.clear()
        finally:
            await self._stop(list(self._tasks))

    async def _tick(self) -> None:
        try:
            await self._check_leases()
            await self._claim()
        except errors.StoreFailed:
            logger.exception("the store of analyses does not respond")
            if time.monotonic() - self._renewed_at > self._settings.lease_seconds:
                await self._stop(list(self._tasks))  # other runners may have claimed them by now

    async def _check_leases(self) -> None:
        leases = list(self._tasks)
        if not leases:
            self._renewed_at = time.monotonic()
            return
        checked_at = time.monotonic()
        is_due = checked_at - self._renewed_at > self._settings.lease_seconds / RENEWALS_PER_LEASE
        held = await (self._store.leases.renew(leases) if is_due else self._store.leases.held(leases))
        if is_due:
            self._renewed_at = checked_at
        await self._stop([lease for lease in leases if lease not in held])

    async def _claim(self) -> None:
        while len(self._tasks) < self._settings.max_running:
            claimed = await self._store.leases.claim(self._models)
            if claimed is None:
                return
            task = asyncio.create_task(self._run(claimed))
            self._tasks[claimed.lease] = task
            task.add_done_callback(partial(self._forget, claimed.lease))

    def _forget(self, lease: Lease, _: asyncio.Task[None]) -> None:
        self._tasks.pop(lease, None)
        self.wake()  # there is room for another

    async def _stop(self, leases: Collection[Lease]) -> None:
        tasks = [self._tasks[lease] for lease in leases if lease in self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, claimed: ClaimedAnalysis) -> None:
        analysis_id = claimed.lease.analysis_id
        logger.info("running %s, attempt %d", analysis_id, claimed.attempts)
        journal = RunJournal(self._store.leases, claimed, self._choice)
        try:
            try:
                await self._analyze(claimed, journal)
            except (errors.LeaseLost, asyncio.CancelledError):
                raise
            except Exception as error:
                await self._release_or_fail(claimed, journal, error)
        except errors.LeaseLost:
            logger.info("%s is no longer this runner's", analysis_id)
        except errors.StoreFailed:
            logger.exception(
                "%s: the store of analyses does not respond; the analysis resumes when its lease expires", analysis_id
            )

    async def _analyze(self, claimed: ClaimedAnalysis, journal: RunJournal) -> None:
        if claimed.attempts > self._settings.max_attempts:
            raise errors.ServiceError(
                f"The server stopped {self._settings.max_attempts} times during this analysis before it made progress. "
                "Send the request again, or have the operator look at the server's log."
            )
        job = claimed.job.job
        trail = replace(job.trail, analysis_id=claimed.lease.analysis_id)
        async with aclosing(self._orchestrator.analyze(replace(job, lease=claimed.lease, trail=trail))) as events:
            async for event in events:
                if claimed.attempts < self._settings.max_attempts:
                    _check_uninterrupted(event)
                await journal.record(event)

    async def _release_or_fail(self, claimed: ClaimedAnalysis, journal: RunJournal, error: Exception) -> None:
        own = own_error(error)
        is_transient = isinstance(own, _TRANSIENT) or not isinstance(own, errors.LongtakeError)
        is_transient = is_transient and not isinstance(own, errors.RequestPoisoned)
        is_busy = isinstance(own, errors.EngineBusy)
        if not is_busy and (not is_transient or claimed.attempts >= self._settings.max_attempts):
            logger.warning("%s failed: %s", claimed.lease.analysis_id, own, exc_info=error)
            await journal.fail(own)
            return
        pause_seconds = BUSY_PAUSE_SECONDS if is_busy else _pause_seconds(claimed.attempts)
        logger.warning("%s was interrupted (%s); retrying in %g s", claimed.lease.analysis_id, own, pause_seconds)
        await self._store.leases.release(claimed.lease, pause_seconds=pause_seconds, counts=not is_busy)


def _pause_seconds(attempts: int) -> float:
    return min(FIRST_PAUSE_SECONDS * 2.0 ** (attempts - 1), LONGEST_PAUSE_SECONDS)


def _check_uninterrupted(event: AnalysisEvent) -> None:
    """Raises Interrupted for an event that a later run may replace by a better one."""
    if isinstance(event, ChunkDone) and event.answer.failure:
        failure = event.answer.failure
        if failure.type in _TRANSIENT_CHUNK_FAILURES:
            raise Interrupted(f"chunk {event.answer.chunk_index}: {failure.message}")
    if isinstance(event, AnalysisDone) and event.answer_error is not None and not event.is_poisoned:
        raise Interrupted(f"merging: {event.answer_error}")
