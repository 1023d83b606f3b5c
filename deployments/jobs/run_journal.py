"""Writes a run's events to the store, each once however many runs an analysis takes."""

import time
from dataclasses import replace

from deployments.model_choice import ModelChoice
from deployments.wire.event_bodies import EventBodies
from deployments.wire.stored_events import failure_of, new_event, result_body
from pipeline.analysis import AnalysisDone, AnalysisEvent, AnswerDelta, ChunkDone, PlanReady, Progress
from pipeline.store import ClaimedAnalysis, EventKind, NewEvent
from pipeline.store.async_store import AsyncLeases

FLUSH_SECONDS = 0.2
"""Pieces of text that follow each other faster are stored as one event."""


class RunJournal:
    """One per run. Skips what earlier runs stored: the plan, answered chunks, and the text so far."""

    def __init__(self, leases: AsyncLeases, claimed: ClaimedAnalysis, model: ModelChoice) -> None:
        self._leases = leases
        self._lease = claimed.lease
        self._bodies = EventBodies(claimed.job.job, model, claimed.job.include_video_metadata)
        self._has_plan = claimed.has_plan
        self._stored_chunks = set(claimed.stored_chunks)
        self._failed_chunks = set(claimed.failed_chunks)
        self._stored_text = claimed.stored_text
        self._text = ""
        self._progress: Progress | None = None
        self._pending: list[NewEvent] = []
        self._flushed_at = 0.0
        self._num_chunks = 0

    async def record(self, event: AnalysisEvent) -> None:
        """Store an event, or ignore it if an earlier run did. Raises LeaseLost, StoreFailed."""
        match event:
            case PlanReady(plan):
                self._num_chunks = len(plan.chunks)
                new = new_event(event, self._bodies)  # always: the bodies of chunks need the plan
                if not self._has_plan:
                    self._pending.append(new)
                    self._progress = Progress(0, self._num_chunks)
            case ChunkDone(answer):
                index, is_failure = answer.chunk_index, answer.text is None
                if index not in self._stored_chunks or (index in self._failed_chunks and not is_failure):
                    self._stored_chunks.add(index)
                    self._pending.append(new_event(event, self._bodies))
                    self._add_progress(is_merging=False)
            case Progress(merging=True):
                self._add_progress(is_merging=True)
            case AnswerDelta(text):
                self._add_text(text)
            case AnalysisDone():
                await self._flush()
                await self._leases.complete(self._lease, result_body(event, self._bodies))
                return
        is_text = isinstance(event, AnswerDelta)
        if not is_text or time.monotonic() - self._flushed_at >= FLUSH_SECONDS:
            await self._flush()

    async def fail(self, error: Exception) -> None:
        """End the analysis with an error. Raises LeaseLost, StoreFailed."""
        await self._flush()
        await self._leases.fail(self._lease, failure_of(error))

    def _add_progress(self, *, is_merging: bool) -> None:
        # Not the Orchestrator's count, which restarts with each run.
        self._progress = Progress(len(self._stored_chunks), self._num_chunks, is_merging)
        self._pending.append(new_event(self._progress, self._bodies))

    def _add_text(self, text: str) -> None:
        """Add what goes beyond the stored text. A run that writes other words adds none; the result has its answer."""
        self._text += text
        if len(self._text) > len(self._stored_text) and self._text.startswith(self._stored_text):
            new = new_event(AnswerDelta(self._text[len(self._stored_text) :]), self._bodies)
            self._stored_text = self._text
            last = self._pending[-1] if self._pending else None
            if last is not None and last.kind == EventKind.TEXT:
                self._pending[-1] = replace(last, text=f"{last.text}{new.text}")
            else:
                self._pending.append(new)

    async def _flush(self) -> None:
        if self._pending:
            events, self._pending = self._pending, []
            await self._leases.append(self._lease, events, self._progress)
            self._flushed_at = time.monotonic()
