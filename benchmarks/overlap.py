"""A long film through the whole graph, beside its decoding alone and its inference alone, by the same replicas."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from ray import serve

from benchmarks.asking import FPS, Asked, ask_longtake
from benchmarks.measuring import cpu_seconds_of
from benchmarks.servers import CHUNK_SECONDS, LongtakeServer
from deployments.api.options import AnalysisOptions
from deployments.config import AnalysisSettings, AppSettings
from deployments.model_choice import choose_model
from deployments.serving.embedded_server import APPLICATION
from pipeline.analysis import AnalysisJob
from pipeline.answers.prompting import chunk_prompt
from pipeline.concurrency import run_windowed
from pipeline.types import Chunk, ChunkPlan, Prompt, StoredVideo, TokenBudget
from tools.demo_model.language import LIST_PROMPT

OPTIONS: dict[str, Any] = {
    "fps": FPS,
    "chunk_duration": CHUNK_SECONDS,
    "chunk_overlap": 0,
    "aggregate": False,
    "max_tokens": 64,
    "seed": 0,
}
"""Not merged: merging comes after all chunks, and overlaps nothing."""


@dataclass(frozen=True)
class Spent:
    """User and system seconds are those of all processes of this machine's Ray."""

    wall_seconds: float
    cpu_seconds: float


@dataclass(frozen=True)
class Overlap:
    """One round."""

    whole: Spent
    decoding: Spent
    inference: Spent
    asked: Asked

    @property
    def over_the_larger(self) -> float:
        return self.whole.wall_seconds / max(self.decoding.wall_seconds, self.inference.wall_seconds)

    @property
    def over_the_sum_of_cpu(self) -> float:
        return self.whole.cpu_seconds / (self.decoding.cpu_seconds + self.inference.cpu_seconds)


def overlap(server: LongtakeServer, film: Path) -> Overlap:
    """The film is given twice, so that nothing of the one half is known to the other."""
    source = server.give(film)
    started = _Clock()
    asked = ask_longtake(server.client, source, LIST_PROMPT, **OPTIONS)
    whole = started.spent()
    decoding, inference = asyncio.run(_halves(StoredVideo(server.give(film))))
    return Overlap(whole, decoding, inference, asked)


async def _halves(source: StoredVideo) -> tuple[Spent, Spent]:
    job = AnalysisOptions(**OPTIONS).job(
        source, Prompt(LIST_PROMPT), choose_model(AppSettings(), num_gpus=0, vllm_has_cuda=False)
    )
    plan: ChunkPlan = await _handle("Chunker").plan.remote(source, job.chunking, TokenBudget(10**9, 0))
    decoder, engine = _handle("FrameDecoder"), _handle("VisionLanguageModel")
    decoded: dict[int, Any] = {}

    async def decode(chunk: Chunk) -> None:
        decoded[chunk.index] = decoder.decode.remote(source, plan.video, chunk)
        await decoded[chunk.index]

    async def infer(chunk: Chunk) -> None:
        await engine.answer.remote(decoded[chunk.index], *_question(job, plan, chunk))

    return await _windowed(plan.chunks, decode), await _windowed(plan.chunks, infer)


def _handle(deployment: str) -> Any:
    return serve.get_deployment_handle(deployment, APPLICATION).options(_by_reference=True)


def _question(job: AnalysisJob, plan: ChunkPlan, chunk: Chunk) -> tuple[Any, ...]:
    prompt = chunk_prompt(job.prompt, chunk, num_chunks=len(plan.chunks))
    return prompt, job.token_sampling, job.turn(chunk.index)


async def _windowed(chunks: Sequence[Chunk], work: Callable[[Chunk], Awaitable[None]]) -> Spent:
    """As many at once as Orchestrator has."""
    started = _Clock()
    async for _ in run_windowed(chunks, work, window=AnalysisSettings().chunks_in_flight):
        pass
    return started.spent()


class _Clock:
    def __init__(self) -> None:
        self._tree = psutil.Process()  # Ray's processes are all below this one
        self._cpu, self._wall = cpu_seconds_of(self._tree), time.perf_counter()

    def spent(self) -> Spent:
        wall_seconds = time.perf_counter() - self._wall
        return Spent(wall_seconds, cpu_seconds_of(self._tree) - self._cpu)


def timeline(asked: Asked, width: int = 60) -> list[str]:
    """A line of that many characters for each chunk, in the order of the film: when it waited (·), was decoded (░) and
    was in the engine (█).

    A chunk waits for a decoder before it is decoded; that all of its waiting is there, and inference at the end, is
    what is assumed.
    """
    lines = []
    for chunk in sorted(asked.chunks, key=lambda chunk: chunk.index):
        inferring = chunk.done_seconds - chunk.inference_seconds
        borders = chunk.start_seconds, inferring - chunk.decode_seconds, inferring, chunk.done_seconds
        start, decoding, engine, done = (round(seconds / asked.seconds * width) for seconds in borders)
        bar = " " * start + "·" * (decoding - start) + "░" * (engine - decoding) + "█" * (done - engine)
        lines.append(bar.ljust(width))
    return lines
