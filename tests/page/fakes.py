"""An Orchestrator that plans for real, and says of each chunk what the film's truth is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator

from deployments.chunker import Chunker
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
from pipeline.answers.coverage import measure_coverage, planned_coverage
from pipeline.answers.rates import MeasuredRates, workload
from pipeline.answers.timed_results import timed_results
from pipeline.config import SourceSettings, VideoLimits
from pipeline.planning.visual_tokens import TEMPORAL_PATCH
from pipeline.types import (
    Chunk,
    ChunkAnswer,
    ChunkFailure,
    ChunkPlan,
    ChunkText,
    DecodeReport,
    Generation,
    TokenBudget,
    TokenUsage,
)
from tools.demo_model.scenes import Film

MODEL_LEN = 4096
CHUNK_SECONDS, DELTA_SECONDS = 0.15, 0.02


class FakeOrchestrator:
    """Answers about `film` alone. Chunks in `failing` fail, those in `damaged` lack a frame."""

    def __init__(self, film: Film, sources: SourceSettings) -> None:
        self.failing: set[int] = set()
        self.damaged: set[int] = set()
        self.refusal: Exception | None = None
        """Raised instead of a plan."""
        self.breaks: Exception | None = None
        """Raised after the first chunk."""
        self.chunk_seconds = CHUNK_SECONDS
        self._film = film
        self._chunker = Chunker(sources, VideoLimits(), max_chunks=5000)
        self._asked: set[object] = set()

    async def estimate(self, job: AnalysisJob) -> Estimate:
        plan = await self._plan(job)
        work = workload(plan, job.prompt, is_merged=not job.is_answered_by_chunks(len(plan.chunks)))
        return Estimate(plan, planned_coverage(plan), work, MeasuredRates().expected(work))

    async def analyze(self, job: AnalysisJob) -> AsyncGenerator[AnalysisEvent, None]:
        started = time.perf_counter()
        plan = await self._plan(job)
        is_known = job.source in self._asked
        self._asked.add(job.source)
        yield PlanReady(plan)
        answers = []
        for chunk in plan.chunks:
            await asyncio.sleep(self.chunk_seconds / (4 if is_known else 1))
            answers.append(self._answer(chunk, is_known))
            yield ChunkDone(answers[-1])
            yield Progress(len(answers), len(plan.chunks))
            if self.breaks:
                raise self.breaks
        yield Progress(len(answers), len(plan.chunks), merging=True)
        merging = time.perf_counter()
        said = ""
        for scene in self._told(0.0, self._film.duration_seconds):
            said += scene
            yield AnswerDelta(scene)
            await asyncio.sleep(DELTA_SECONDS)
        yield self._done(plan, answers, said.strip(), merging - started, time.perf_counter() - merging)

    async def max_model_len(self) -> int:
        return MODEL_LEN

    async def check_ready(self) -> None:
        pass

    async def _plan(self, job: AnalysisJob) -> ChunkPlan:
        if self.refusal:
            raise self.refusal
        return await self._chunker.plan(job.source, job.chunking, TokenBudget(MODEL_LEN, 1024))

    def _told(self, start: float, stop: float) -> list[str]:
        scenes = [scene for scene in self._film.scenes if start <= scene.start_seconds < stop]
        return [f"{scene.start_seconds:.1f} {scene.colour} {scene.shape}. " for scene in scenes]

    def _answer(self, chunk: Chunk, is_known: bool) -> ChunkAnswer:
        text = None
        failure = ChunkFailure("decode_failed", "No frame could be decoded.") if chunk.index in self.failing else None
        if failure is None:
            missing = (chunk.start_seconds + 1,) if chunk.index in self.damaged else ()
            said = "".join(self._told(chunk.start_seconds, chunk.stop_seconds)).strip()
            usage = TokenUsage(500, 40, cached_tokens=480 if is_known else 0)
            text = ChunkText(
                Generation(said, "stop", usage, inference_seconds=0.09 + 0.01 * (chunk.index % 4)),
                DecodeReport(chunk.num_frames - len(missing), missing, "planned", None, 0.04, is_reused=is_known),
            )
        return ChunkAnswer(chunk.index, chunk.start_seconds, chunk.stop_seconds, 0.16, 1, text, failure)

    def _done(
        self, plan: ChunkPlan, answers: list[ChunkAnswer], said: str, chunk_seconds: float, merge_seconds: float
    ) -> AnalysisDone:
        usages = [answer.text.generation.usage for answer in answers if answer.text]
        citations = check_citations(said, answers, step_seconds=TEMPORAL_PATCH / plan.planned_fps)
        return AnalysisDone(
            plan=plan,
            chunk_answers=tuple(answers),
            answer=said,
            answer_error=None,
            finish_reason="stop",
            tokens=None,
            coverage=measure_coverage(plan, answers),
            usage=sum(usages, TokenUsage()),
            merge_levels=1,
            merge_seconds=merge_seconds,
            total_seconds=chunk_seconds + merge_seconds,
            citations=citations,
            timed_results=timed_results(said, citations, answers, duration_seconds=plan.video.duration_seconds),
        )
