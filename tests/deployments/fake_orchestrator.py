"""An Orchestrator that answers chunks by itself, and keeps them as the real one does."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from dataclasses import replace

import numpy as np

from deployments.chunks.kept_answers import KeptAnswers
from deployments.model_choice import ModelChoice
from pipeline.analysis import (
    AnalysisDone,
    AnalysisEvent,
    AnalysisJob,
    AnswerDelta,
    ChunkDone,
    PlanReady,
    Progress,
)
from pipeline.answers.coverage import measure_coverage
from pipeline.answers.timed_results import timed_results
from pipeline.concurrency import run_windowed
from pipeline.store import AnalysisStore, AsyncAnalysisStore
from pipeline.types import (
    Chunk,
    ChunkAnswer,
    ChunkPlan,
    ChunkText,
    DecodeReport,
    Generation,
    TokenUsage,
    VideoInfo,
)

VIDEO = VideoInfo(1280, 720, 25.0, 100.0, 2500, "h264", "matroska,webm", 1000, "bytes", False, 0.0)
WINDOW = 4


def plan_of(num_chunks: int) -> ChunkPlan:
    chunks = tuple(
        Chunk(index, 5.0 * index, 5.0 * (index + 1), np.arange(4), 5.0 * index + np.arange(4), 0.0, 64, 64)
        for index in range(num_chunks)
    )
    return ChunkPlan(VIDEO, chunks, 0.0, 5.0 * num_chunks, 5.0, 2.0, 2.0)


def answer_of(chunk: Chunk, seconds: float = 0.0) -> ChunkAnswer:
    generation = Generation(f"Scene {chunk.index}.", "stop", TokenUsage(100, 7), seconds)
    report = DecodeReport(chunk.num_frames, (), "planned", None, 0.0)
    text = ChunkText(generation, report)
    return ChunkAnswer(chunk.index, chunk.start_seconds, chunk.stop_seconds, seconds, 1, text, None)


class FakeOrchestrator:
    """Plans `num_chunks` and answers each after `chunk_seconds`; `trouble` may answer otherwise, or raise."""

    def __init__(
        self, store: AnalysisStore, choice: ModelChoice, *, num_chunks: int = 6, chunk_seconds: float = 0.0
    ) -> None:
        self._kept = KeptAnswers(AsyncAnalysisStore(store), choice)
        self.plan = plan_of(num_chunks)
        self.chunk_seconds = chunk_seconds
        self.trouble: Callable[[Chunk], ChunkAnswer | None] = lambda chunk: None
        self.merge_error: Callable[[], str | None] = lambda: None
        self.is_poisoned = False
        self.on_begin: Callable[[Chunk], None] = lambda chunk: None
        self.computed: Counter[int] = Counter()
        self.under_way = 0

    async def analyze(self, job: AnalysisJob) -> AsyncGenerator[AnalysisEvent, None]:
        self.under_way += 1
        try:
            yield PlanReady(self.plan)
            answers = []
            async for answer in run_windowed(self.plan.chunks, lambda chunk: self._answer(job, chunk), window=WINDOW):
                answers.append(answer)
                yield ChunkDone(answer)
                yield Progress(len(answers), len(self.plan.chunks))
            answers.sort(key=lambda answer: answer.chunk_index)
            yield Progress(len(answers), len(answers), merging=True)
            error = self.merge_error()
            texts = [answer.text.generation.text for answer in answers if answer.text]
            whole = None if error else "".join(texts)
            for text in [] if error else texts:
                await asyncio.sleep(0)
                yield AnswerDelta(text)
            yield AnalysisDone(
                plan=self.plan,
                chunk_answers=tuple(answers),
                answer=whole,
                answer_error=error,
                finish_reason="stop",
                tokens=None,
                coverage=measure_coverage(self.plan, answers),
                usage=TokenUsage(1, 2),
                merge_levels=1,
                merge_seconds=0.5,
                total_seconds=1.0,
                timed_results=timed_results(whole, (), answers, duration_seconds=VIDEO.duration_seconds),
                is_poisoned=self.is_poisoned,
            )
        finally:
            self.under_way -= 1

    async def _answer(self, job: AnalysisJob, chunk: Chunk) -> ChunkAnswer:
        kept = await self._kept.find(job, self.plan, chunk)
        if kept:
            return kept
        self.computed[chunk.index] += 1
        self.on_begin(chunk)
        await asyncio.sleep(self.chunk_seconds)
        answer = replace(self.trouble(chunk) or answer_of(chunk), chunk_index=chunk.index)
        await self._kept.keep(job, self.plan, answer)
        return answer
