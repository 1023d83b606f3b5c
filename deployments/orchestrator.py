"""Orchestrator: runs an analysis from its plan to its answer."""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import ray
from ray.serve.handle import DeploymentHandle

from deployments.chunks.chunk_calls import ChunkCalls
from deployments.chunks.kept_answers import KeptAnswers
from deployments.config import AnalysisSettings
from deployments.model_choice import ModelChoice
from deployments.serving.event_loops import EventLoopHealth
from deployments.serving.ray_errors import encodable_errors
from deployments.serving.retries import deadline, with_retries
from deployments.serving.text_relay import TextRelay, relay_through, relayed
from deployments.telemetry.analysis_monitor import AnalysisMonitor
from deployments.telemetry.tracing import stage
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
from pipeline.answers.citations import check_citations, unsupported_notice
from pipeline.answers.coverage import cut_off_notice, measure_coverage, planned_coverage
from pipeline.answers.merging import Merged, MergeTask
from pipeline.answers.prompting import PART_TOKENS, text_token_bound
from pipeline.answers.rates import MeasuredRates, workload
from pipeline.answers.timed_results import timed_results
from pipeline.concurrency import run_windowed
from pipeline.config import StoreSettings
from pipeline.errors import EngineBusy, LongtakeError, RequestPoisoned
from pipeline.planning.visual_tokens import TEMPORAL_PATCH
from pipeline.store import AsyncAnalysisStore, open_store
from pipeline.types import Chunk, ChunkAnswer, ChunkPlan, Note, TextDelta, TokenBudget, TokenUsage, Trail, WrittenToken

IN_FLIGHT_SHARE, KEPT_SHARE = 0.3, 0.15
"""Shares of the object store. Ray frees objects 1.5 to 3 s after their last use, so frames in flight need nearly twice
their size."""


@dataclass(frozen=True, eq=False)
class _Run:
    """A running analysis."""

    job: AnalysisJob
    plan: ChunkPlan
    max_model_len: int
    started: float
    new_chunks: set[int] = field(default_factory=set)
    """Indices of chunks whose answer was not in the store."""

    def done(self, answer: ChunkAnswer) -> ChunkDone:
        is_found = answer.chunk_index not in self.new_chunks
        return ChunkDone(answer, is_recalled=is_found and not answer.is_reused)


@dataclass(frozen=True)
class _Answer:
    """The answer about the whole video."""

    text: str | None = None
    error: str | None = None
    is_poisoned: bool = False
    finish_reason: str = "stop"
    merge_usage: TokenUsage = field(default_factory=TokenUsage)
    merge_levels: int = 0
    merge_seconds: float = 0.0
    tokens: tuple[WrittenToken, ...] | None = None


class Orchestrator(EventLoopHealth):
    """Composes the stages: plan, decode, infer, merge."""

    def __init__(
        self,
        chunker: DeploymentHandle,
        frame_decoder: DeploymentHandle,
        vision_language_model: DeploymentHandle,
        aggregator: DeploymentHandle,
        settings: AnalysisSettings,
        store_settings: StoreSettings,
        choice: ModelChoice,
    ) -> None:
        store_bytes = _object_store_bytes()
        in_flight_bytes, kept_bytes = settings.frames_in_flight_bytes, settings.frames_kept_bytes
        self._chunks = ChunkCalls(
            frame_decoder,
            vision_language_model,
            settings,
            int(store_bytes * IN_FLIGHT_SHARE) if in_flight_bytes is None else in_flight_bytes,
            int(store_bytes * KEPT_SHARE) if kept_bytes is None else kept_bytes,
        )
        self._chunker = chunker
        self._engine = vision_language_model
        self._aggregator = aggregator.options(stream=True)
        self._settings = settings
        self._kept_answers = KeptAnswers(AsyncAnalysisStore(open_store(store_settings)), choice)
        self._num_analyses = 0
        self._rates = MeasuredRates()
        self._monitor = AnalysisMonitor()

    async def max_model_len(self) -> int:
        """Return the engine's context length. Raises DeadlineExceeded if no engine starts in time."""
        async with deadline(self._settings.chunk_timeout_seconds, "Waiting for the engine"):
            max_model_len = await with_retries(
                self._engine.max_model_len.remote, attempts=self._settings.chunk_attempts, what="The engine"
            )
        return int(max_model_len)

    async def check_ready(self) -> None:
        """Raise EngineFailed unless the engine generates a token."""
        await with_retries(self._engine.check_ready.remote, attempts=1, what="The engine")

    async def estimate(self, job: AnalysisJob) -> Estimate:
        """Estimate frames, tokens and seconds of `job`. Raises what `analyze` raises before its plan."""
        with encodable_errors():
            plan = await self._plan(job, await self.max_model_len())
            work = workload(plan, job.prompt, is_merged=not job.is_answered_by_chunks(len(plan.chunks)))
            return Estimate(plan, planned_coverage(plan), work, self._rates.expected(work))

    async def analyze(self, job: AnalysisJob) -> AsyncGenerator[AnalysisEvent, None]:
        """Yield a PlanReady, a ChunkDone and a Progress for each chunk, AnswerDeltas and an AnalysisDone.

        Raises LongtakeError before the plan; later failures are part of the result.
        """
        with encodable_errors():
            async with aclosing(self._monitor.run(job, self._analyze)) as events:
                async for event in events:
                    yield event

    async def _analyze(self, job: AnalysisJob) -> AsyncGenerator[AnalysisEvent, None]:
        with self._admitted():
            started = time.perf_counter()
            max_model_len = await self.max_model_len()
            await self._check_token_sampling(job)
            run = _Run(job, await self._plan(job, max_model_len), max_model_len, started)
            yield PlanReady(run.plan)
            is_relayed = job.aggregate and len(run.plan.chunks) == 1
            async with aclosing(self._only_chunk(run) if is_relayed else self._all_chunks(run)) as events:
                async for event in events:
                    yield event

    @contextmanager
    def _admitted(self) -> Iterator[None]:
        """Count an analysis while the block runs. Raises EngineBusy if too many are running."""
        if self._num_analyses >= self._settings.max_analyses:
            raise EngineBusy(
                f"{self._num_analyses} analyses are running, the most allowed here; try again in a few seconds."
            )
        self._num_analyses += 1
        try:
            yield
        finally:
            self._num_analyses -= 1

    async def _check_token_sampling(self, job: AnalysisJob) -> None:
        """Raise InvalidRequest, before a chunk is decoded, for a schema that the engine does not support."""
        for token_sampling in {job.token_sampling, job.chunk_token_sampling}:
            if token_sampling.json_format is not None:
                await with_retries(
                    partial(self._engine.check_token_sampling.remote, token_sampling),
                    attempts=self._settings.chunk_attempts,
                    what="The engine",
                )

    async def _plan(self, job: AnalysisJob, max_model_len: int) -> ChunkPlan:
        text_tokens = text_token_bound(job.prompt) + PART_TOKENS + job.token_sampling.max_tokens
        budget = TokenBudget(max_model_len, text_tokens)
        async with deadline(self._settings.chunk_timeout_seconds, "Reading and planning the video"):
            plan: ChunkPlan
            plan = await with_retries(
                lambda: self._chunker.plan.remote(job.source, job.chunking, budget, job.trail),
                attempts=self._settings.chunk_attempts,
                what="The plan",
            )
        return plan

    async def _only_chunk(self, run: _Run) -> AsyncGenerator[AnalysisEvent, None]:
        """Stream the text of the only chunk: it is the answer."""
        chunk = run.plan.chunks[0]
        async for piece in relayed(lambda relay: self._chunk_answer(run, chunk, relay)):
            if isinstance(piece, str):
                yield AnswerDelta(piece)
                continue
            yield run.done(piece)
            yield Progress(1, 1)
            generation = piece.text and piece.text.generation
            answer = (
                _Answer(generation.text, finish_reason=generation.finish_reason, tokens=generation.tokens)
                if generation
                else _Answer()
            )
            yield _done(run, [piece], answer)

    async def _all_chunks(self, run: _Run) -> AsyncGenerator[AnalysisEvent, None]:
        answers: list[ChunkAnswer] = []
        total = len(run.plan.chunks)
        started = time.perf_counter()
        async for chunk_answer in run_windowed(
            run.plan.chunks,
            lambda chunk: self._chunk_answer(run, chunk),
            window=self._settings.chunks_in_flight,
        ):
            answers.append(chunk_answer)
            yield run.done(chunk_answer)
            yield Progress(len(answers), total)
        if len(run.new_chunks) == total:
            self._rates.record_overlap(answers, time.perf_counter() - started)
        answers.sort(key=lambda chunk_answer: chunk_answer.chunk_index)
        answer = _Answer()
        if run.job.aggregate and any(chunk_answer.text for chunk_answer in answers):
            yield Progress(total, total, merging=True)
            merge_started = time.perf_counter()
            async for piece in relayed(lambda relay: self._merge(run, answers, relay)):
                if isinstance(piece, str):
                    yield AnswerDelta(piece)
                else:
                    answer = replace(piece, merge_seconds=time.perf_counter() - merge_started)
        yield _done(run, answers, answer)

    async def _chunk_answer(self, run: _Run, chunk: Chunk, relay: TextRelay | None = None) -> ChunkAnswer:
        kept = await self._kept_answers.find(run.job, run.plan, chunk)
        if kept is None:
            answer = await self._chunks.answer(run.job, run.plan, chunk, relay)
            await self._kept_answers.keep(run.job, run.plan, answer)
            run.new_chunks.add(chunk.index)
            self._rates.record_chunk(run.plan.video, chunk, run.job.prompt, answer)
            return answer
        if relay is not None and kept.text is not None:
            relay.write(kept.text.generation.text)
        return kept

    async def _merge(self, run: _Run, answers: Sequence[ChunkAnswer], relay: TextRelay) -> _Answer:
        """Merge the chunks' answers. An error becomes part of the result, so that no chunk's answer is lost."""
        notes = tuple(
            Note(answer.start_seconds, answer.stop_seconds, answer.text.generation.text)
            for answer in answers
            if answer.text
        )
        task = MergeTask(run.job.prompt, run.job.merge_instruction, notes)
        started = time.perf_counter()
        try:
            with stage("merge", run.job.trail) as merge:
                async with deadline(self._settings.chunk_timeout_seconds, "Merging the chunk answers"):
                    merged = await with_retries(
                        lambda: self._merged(run, task, relay, merge.trail),
                        attempts=self._settings.chunk_attempts,
                        what="The merge",
                    )
                merge.set(levels=merged.levels)
        except LongtakeError as error:
            return _Answer(error=error.message, is_poisoned=isinstance(error, RequestPoisoned))
        self._rates.record_merge(len(notes), time.perf_counter() - started)
        return _Answer(
            text=merged.generation.text,
            finish_reason=merged.generation.finish_reason,
            merge_usage=merged.usage,
            merge_levels=merged.levels,
            tokens=merged.generation.tokens,
        )

    async def _merged(self, run: _Run, task: MergeTask, relay: TextRelay, trail: Trail) -> Merged:
        pieces: AsyncIterator[TextDelta | Merged] = self._aggregator.merge.remote(
            task, run.job.token_sampling, run.max_model_len, run.job.turn(), trail
        )
        return await relay_through(relay, pieces)


def _done(run: _Run, answers: Sequence[ChunkAnswer], answer: _Answer) -> AnalysisDone:
    chunk_usages = (chunk_answer.text.generation.usage for chunk_answer in answers if chunk_answer.text)
    coverage = measure_coverage(run.plan, answers)
    citations = check_citations(answer.text, answers, step_seconds=TEMPORAL_PATCH / run.plan.planned_fps)
    max_tokens = run.job.token_sampling.max_tokens
    notices = (
        cut_off_notice(answer.finish_reason, num_chunks=len(answers), max_tokens=max_tokens),
        unsupported_notice(citations),
    )
    return AnalysisDone(
        plan=run.plan,
        chunk_answers=tuple(answers),
        answer=answer.text,
        answer_error=answer.error,
        finish_reason=answer.finish_reason,
        tokens=answer.tokens,
        coverage=replace(coverage, notices=(*coverage.notices, *filter(None, notices))),
        usage=sum(chunk_usages, answer.merge_usage),
        merge_levels=answer.merge_levels,
        merge_seconds=answer.merge_seconds,
        total_seconds=time.perf_counter() - run.started,
        citations=citations,
        timed_results=timed_results(answer.text, citations, answers, duration_seconds=run.plan.video.duration_seconds),
        is_poisoned=answer.is_poisoned,
    )


def _object_store_bytes() -> float:
    """Return the size of the smallest node's object store: a chunk's frames lie on one node."""
    stores = [node["Resources"].get("object_store_memory", 0) for node in ray.nodes() if node["Alive"]]
    return float(min(store for store in stores if store))
