"""An Orchestrator that plays a prepared analysis, and that analysis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

import numpy as np

from pipeline.analysis import (
    AnalysisDone,
    AnalysisEvent,
    AnalysisJob,
    AnswerDelta,
    ChunkDone,
    Estimate,
    PlanReady,
    Progress,
)
from pipeline.answers.citations import check_citations
from pipeline.answers.coverage import planned_coverage
from pipeline.answers.rates import MeasuredRates, workload
from pipeline.answers.timed_results import timed_results
from pipeline.types import (
    Chunk,
    ChunkAnswer,
    ChunkFailure,
    ChunkPlan,
    ChunkText,
    Citation,
    Coverage,
    DecodeReport,
    Generation,
    StoredVideo,
    TokenUsage,
    VideoInfo,
)

MODEL_LEN = 4096

VIDEO = VideoInfo(1280, 720, 25.0004, 118.0004, 2950, "h264", "matroska,webm", 1000, "bytes", False, 0.0)


def _chunk(index: int, start: float, stop: float) -> Chunk:
    return Chunk(index, start, stop, np.arange(4), np.array([0.0, 1.5004, 2.0, 3.0]), 0.0, 640, 1152)


PLAN = ChunkPlan(VIDEO, (_chunk(0, 0, 60), _chunk(1, 58, 118.0004)), 0.0, 118.0004, 60.0, 2.0, 2.0, ("A notice.",))
ONE_CHUNK_PLAN = ChunkPlan(VIDEO, PLAN.chunks[:1], 0.0, 60.0, 60.0, 2.0, 2.0)

ANSWERED = ChunkAnswer(
    chunk_index=0,
    start_seconds=0.0,
    stop_seconds=60.0,
    processing_seconds=5.0004,
    attempts=2,
    text=ChunkText(
        Generation("A cat sits.", "stop", TokenUsage(100, 7), inference_seconds=2.5),
        DecodeReport(3, (1.5004,), "pyav", "torchcodec cannot open the video", 1.5),
    ),
    failure=None,
)
FAILED = ChunkAnswer(1, 58.0, 118.0004, 3.0, 4, None, ChunkFailure("decode_failed", "No frame could be decoded."))
COVERAGE = Coverage(2.0, 0.05, 3, ((60.0, 118.0004),), (1,), ("A notice.",))


def done(
    answer: str | None = "A cat sits all day.",
    *,
    plan: ChunkPlan = PLAN,
    chunk_answers: tuple[ChunkAnswer, ...] = (ANSWERED, FAILED),
    answer_error: str | None = None,
    citations: tuple[Citation, ...] | None = None,
) -> AnalysisDone:
    """An analysis that ended with that answer; its times are recognised by the server's own code, or given."""
    found = check_citations(answer, chunk_answers, step_seconds=1.0)
    return AnalysisDone(
        plan=plan,
        chunk_answers=chunk_answers,
        answer=answer,
        answer_error=answer_error,
        finish_reason="stop",
        tokens=None,
        coverage=COVERAGE,
        usage=TokenUsage(150, 20),
        merge_levels=1,
        merge_seconds=0.5004,
        total_seconds=6.0004,
        citations=found if citations is None else citations,
        timed_results=timed_results(answer, found, chunk_answers, duration_seconds=plan.video.duration_seconds),
    )


WHOLE: tuple[AnalysisEvent, ...] = (
    PlanReady(PLAN),
    ChunkDone(ANSWERED),
    Progress(1, 2),
    ChunkDone(FAILED),
    Progress(2, 2),
    Progress(2, 2, merging=True),
    AnswerDelta("A cat sits "),
    AnswerDelta("all day."),
    done(citations=(Citation("[00:05]", 5.0, 0, 7, 0), Citation("1.2", 1.2004, 8, 11, None))),
)
"""What the Orchestrator says of two chunks, one of which failed."""


class FakeOrchestrator:
    """Plays `events`, raises those among them that are exceptions, and keeps the jobs it was given."""

    def __init__(self, uploads: Path) -> None:
        self.events: Sequence[AnalysisEvent | Exception] = WHOLE
        self.rates = MeasuredRates()
        """What estimates go by."""
        self.ready_error: Exception | None = None
        self.jobs: list[AnalysisJob] = []
        self.uploaded: list[bytes] = []
        """The bytes of uploaded videos, read when the last event was due."""
        self.ended = asyncio.Event()
        self.is_stuck = False
        """Whether nothing comes after the first event, for ever."""
        self.wait: asyncio.Event | None = None
        """Waited for before each event but the first."""
        self._uploads = uploads

    async def analyze(self, job: AnalysisJob) -> AsyncGenerator[AnalysisEvent, None]:
        self.jobs.append(job)
        try:
            for place, event in enumerate(self.events):
                if self.is_stuck and place:
                    await asyncio.sleep(3600)
                if self.wait and place:
                    await self.wait.wait()
                if place == len(self.events) - 1 and isinstance(job.source, StoredVideo):
                    self.uploaded.append((self._uploads / job.source.file_id / "video").read_bytes())
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.ended.set()

    async def estimate(self, job: AnalysisJob) -> Estimate:
        self.jobs.append(job)
        if isinstance(self.events[0], Exception):
            raise self.events[0]
        work = workload(PLAN, job.prompt, is_merged=job.aggregate)
        return Estimate(PLAN, planned_coverage(PLAN), work, self.rates.expected(work))

    async def max_model_len(self) -> int:
        return MODEL_LEN

    async def check_ready(self) -> None:
        if self.ready_error:
            raise self.ready_error
