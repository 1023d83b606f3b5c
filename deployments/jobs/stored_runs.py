"""Running stored analyses: claims what waits, keeps the leases, stops what is cancelled, begins anew what was lost."""

import asyncio
import time
from collections.abc import Collection
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from functools import partial

from deployments.jobs.run_journal import RunJournal
from deployments.logs import logger
from deployments.model_choice import ModelChoice
from deployments.orchestrator_client import Analyzer
from deployments.serving.ray_errors import INTERNAL_ERROR, own_error
from pipeline import errors
from pipeline.analysis import AnalysisDone, AnalysisEvent, ChunkDone, StoredRun
from pipeline.config import StoreSettings
from pipeline.store import AnalysisStore, ClaimedRun

TICK_SECONDS = 0.25
"""How often the store is asked for work and for what was cancelled: work ends within a second of that."""
RENEWALS_PER_LEASE = 3
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 60.0
"""Before an interrupted analysis is begun again, doubled each time."""
BUSY_PAUSE_SECONDS = 2.0
_PASSING = (errors.ServiceError, errors.SourceUnavailable)
"""What another try, later, may not meet again."""
_PASSING_CHUNK_FAILURES = frozenset(
    error.type_name()
    for error in (errors.ReplicaLost, errors.EngineDied, errors.EngineBusy, errors.DeadlineExceeded, errors.StoreFailed)
) | {INTERNAL_ERROR}
"""A server that is being shut down fails chunks so; that is no reason to answer without them after its restart."""


class Interrupted(Exception):
    """An analysis went on without something that another run may have."""


@dataclass(eq=False)
class _Running:
    claimed: ClaimedRun
    task: asyncio.Task[None]


class StoredRuns:
    """One per runner. `run` goes on until it is cancelled."""

    def __init__(
        self, store: AnalysisStore, orchestrator: Analyzer, settings: StoreSettings, choice: ModelChoice
    ) -> None:
        self._store = store
        self._orchestrator = orchestrator
        self._settings = settings
        self._choice = choice
        self._models = (choice.served_model_name, *choice.lora_adapters)
        self._running: dict[StoredRun, _Running] = {}
        self._renewed_at = time.monotonic()
        self._woken = asyncio.Event()

    def wake(self) -> None:
        """Something waits."""
        self._woken.set()

    async def run(self) -> None:
        try:
            while True:
                await self._tick()
                # Not wait_for: Python 3.11's forgets a cancellation that comes together with what it waits for.
                with suppress(TimeoutError):
                    async with asyncio.timeout(TICK_SECONDS):
                        await self._woken.wait()
                self._woken.clear()
        finally:
            await self._stop(list(self._running))

    async def _tick(self) -> None:
        try:
            await self._watch_leases()
            await self._claim()
        except errors.StoreFailed:
            logger.exception("the store of analyses is not there")
            if time.monotonic() - self._renewed_at > self._settings.lease_seconds:
                await self._stop(list(self._running))  # others may be running them by now

    async def _watch_leases(self) -> None:
        runs = list(self._running)
        if not runs:
            self._renewed_at = time.monotonic()
            return
        asked_at = time.monotonic()
        is_due = asked_at - self._renewed_at > self._settings.lease_seconds / RENEWALS_PER_LEASE
        ask = self._store.runs.renew if is_due else self._store.runs.held
        held = await asyncio.to_thread(ask, runs)
        if is_due:
            self._renewed_at = asked_at
        await self._stop([run for run in runs if run not in held])

    async def _claim(self) -> None:
        while len(self._running) < self._settings.max_running:
            claimed = await asyncio.to_thread(self._store.runs.claim, self._models)
            if claimed is None:
                return
            run = claimed.run
            task = asyncio.create_task(self._see_through(claimed))
            self._running[run] = _Running(claimed, task)
            task.add_done_callback(partial(self._ended, run))

    def _ended(self, run: StoredRun, _: asyncio.Task[None]) -> None:
        self._running.pop(run, None)
        self.wake()  # there is room for another

    async def _stop(self, runs: Collection[StoredRun]) -> None:
        tasks = [self._running[run].task for run in runs if run in self._running]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _see_through(self, claimed: ClaimedRun) -> None:
        analysis_id = claimed.run.analysis_id
        logger.info("running %s, attempt %d", analysis_id, claimed.attempts)
        journal = RunJournal(self._store.runs, claimed, self._choice)
        try:
            try:
                await self._run(claimed, journal)
            except (errors.LeaseLost, asyncio.CancelledError):
                raise
            except Exception as error:
                await self._give_back_or_fail(claimed, journal, error)
        except errors.LeaseLost:
            logger.info("%s is no longer this runner's", analysis_id)
        except errors.StoreFailed:
            logger.exception(
                "%s: the store of analyses is not there; it goes on when the lease has run out", analysis_id
            )

    async def _run(self, claimed: ClaimedRun, journal: RunJournal) -> None:
        if claimed.attempts > self._settings.max_attempts:
            raise errors.ServiceError(
                f"The analysis was begun {self._settings.max_attempts} times and got no further; each time the server "
                "was lost. Ask again, or have the operator look at its log."
            )
        job = claimed.job.job
        job = replace(job, run=claimed.run, trail=replace(job.trail, analysis_id=claimed.run.analysis_id))
        async with aclosing(self._orchestrator.analyze(job)) as events:
            async for happened in events:
                if claimed.attempts < self._settings.max_attempts:
                    _check_uninterrupted(happened)
                await journal.tell(happened)

    async def _give_back_or_fail(self, claimed: ClaimedRun, journal: RunJournal, error: Exception) -> None:
        own = own_error(error)
        is_passing = isinstance(own, _PASSING) or not isinstance(own, errors.LongtakeError)
        is_busy = isinstance(own, errors.EngineBusy)
        if not is_busy and (not is_passing or claimed.attempts >= self._settings.max_attempts):
            logger.warning("%s failed: %s", claimed.run.analysis_id, own, exc_info=error)
            await journal.fail(own)
            return
        pause_seconds = BUSY_PAUSE_SECONDS if is_busy else _pause_seconds(claimed.attempts)
        logger.warning("%s was interrupted (%s); again in %g s", claimed.run.analysis_id, own, pause_seconds)
        await asyncio.to_thread(self._store.runs.release, claimed.run, pause_seconds=pause_seconds, counts=not is_busy)


def _pause_seconds(attempts: int) -> float:
    return min(FIRST_PAUSE_SECONDS * 2.0 ** (attempts - 1), LONGEST_PAUSE_SECONDS)


def _check_uninterrupted(happened: AnalysisEvent) -> None:
    """Raises Interrupted for what would be told otherwise had nothing been lost meanwhile."""
    if isinstance(happened, ChunkDone) and happened.answer.failure:
        failure = happened.answer.failure
        if failure.type in _PASSING_CHUNK_FAILURES:
            raise Interrupted(f"chunk {happened.answer.chunk_index}: {failure.message}")
    if isinstance(happened, AnalysisDone) and happened.answer_error is not None:
        raise Interrupted(f"merging: {happened.answer_error}")
