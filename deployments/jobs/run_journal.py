"""What happens in a run, on its way into the store: each thing once, however many runs an analysis takes."""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import Any

from deployments.model_choice import ModelChoice
from deployments.wire.errors import error_body
from deployments.wire.event_bodies import EventBodies
from pipeline import analysis
from pipeline.analysis import AnalysisDone, AnalysisEvent, AnswerDelta, ChunkDone, PlanReady
from pipeline.store import AnalysisStatus, ClaimedRun, EventNames, NewEvent, Progress
from pipeline.store.runs import Runs

FLUSH_SECONDS = 0.2
"""Pieces of a text that come faster than this are stored as one."""


class RunJournal:
    """Of one run. What earlier runs told is not told again: a plan, a chunk that was answered, a part of the text."""

    def __init__(self, runs: Runs, claimed: ClaimedRun, model: ModelChoice) -> None:
        self._runs = runs
        self._run = claimed.run
        self._bodies = EventBodies(claimed.job.job, model, claimed.job.include_video_metadata)
        self._told_plan = claimed.told_plan
        self._told_chunks = set(claimed.told_chunks)
        self._failed_chunks = set(claimed.failed_chunks)
        self._told_text = claimed.told_text
        self._text = ""
        self._progress: Progress | None = None
        self._pending: list[NewEvent] = []
        self._flushed_at = 0.0
        self._num_chunks = 0

    async def tell(self, happened: AnalysisEvent) -> None:
        """Raises LeaseLost, StoreFailed."""
        match happened:
            case PlanReady(plan):
                self._num_chunks = len(plan.chunks)
                event = self._event(happened)
                if not self._told_plan:
                    self._add(event, Progress(0, self._num_chunks))
            case ChunkDone(answer):
                index, is_failure = answer.chunk_index, answer.text is None
                if index not in self._told_chunks or (index in self._failed_chunks and not is_failure):
                    self._told_chunks.add(index)
                    self._add(self._event(happened))
                    self._add_progress(is_merging=False)
            case analysis.Progress(merging=True):
                self._add_progress(is_merging=True)
            case AnswerDelta(text):
                self._add_text(text)
            case AnalysisDone():
                await self._finish(AnalysisStatus.COMPLETED, self._event(happened))
                return
        is_text = isinstance(happened, AnswerDelta)
        if not is_text or time.monotonic() - self._flushed_at >= FLUSH_SECONDS:
            await self._flush()

    async def fail(self, error: Exception) -> None:
        """Raises LeaseLost, StoreFailed."""
        await self._finish(AnalysisStatus.FAILED, _new_event(EventNames.ERROR, error_body(error)))

    def _add_progress(self, *, is_merging: bool) -> None:
        # Not the run's own count, which begins anew: what was told of before has been told.
        progress = analysis.Progress(len(self._told_chunks), self._num_chunks, is_merging)
        self._add(self._event(progress), Progress(len(self._told_chunks), self._num_chunks, is_merging))

    def _add_text(self, text: str) -> None:
        """A run that writes other words than the one before it adds none: the answer, at the end, is what counts."""
        self._text += text
        if len(self._text) > len(self._told_text) and self._text.startswith(self._told_text):
            text = self._text[len(self._told_text) :]
            self._told_text = self._text
            if self._pending and self._pending[-1].name == EventNames.DELTA:
                text = json.loads(self._pending.pop().body)["text"] + text
            self._add(self._event(AnswerDelta(text)))

    def _event(self, happened: AnalysisEvent) -> NewEvent:
        return _new_event(*self._bodies.of(happened))

    def _add(self, event: NewEvent, progress: Progress | None = None) -> None:
        self._pending.append(event)
        self._progress = progress or self._progress

    async def _flush(self) -> None:
        if self._pending:
            events, self._pending = self._pending, []
            await asyncio.to_thread(self._runs.append, self._run, events, self._progress)
            self._flushed_at = time.monotonic()

    async def _finish(self, status: AnalysisStatus, last: NewEvent) -> None:
        await self._flush()
        await asyncio.to_thread(self._runs.finish, self._run, status, last)


def _new_event(name: EventNames, body: Mapping[str, Any]) -> NewEvent:
    return NewEvent(name, json.dumps(body, ensure_ascii=False))
