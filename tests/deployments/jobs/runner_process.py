"""A runner in a killable process: `python -m tests.deployments.jobs.runner_process DATA_DIR LOG`.

It runs whatever is stored in DATA_DIR, and notes in LOG each chunk that it begins and each that it has kept.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path

from deployments.config import AppSettings
from deployments.jobs import leased_analyses
from deployments.jobs.leased_analyses import LeasedAnalyses
from deployments.model_choice import choose_model
from pipeline.config import StoreSettings
from pipeline.store import AsyncAnalysisStore, open_store
from pipeline.types import Chunk, ChunkAnswer
from tests.deployments.fake_orchestrator import FakeOrchestrator, answer_of

NUM_CHUNKS = 20
CHUNK_SECONDS = 0.06
LEASE_SECONDS = 1.0
CHOICE = choose_model(AppSettings(lora_adapters={"sports": "a/folder"}), num_gpus=0, vllm_has_cuda=False)


async def run(data_dir: Path, log: Path) -> None:
    settings = StoreSettings(data_dir=data_dir, lease_seconds=LEASE_SECONDS)
    store = open_store(settings)
    file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    rng = random.Random()

    def note(line: str) -> None:
        os.write(file, f"{line}\n".encode())

    class NotingOrchestrator(FakeOrchestrator):
        async def _answer(self, job, chunk):  # type: ignore[no-untyped-def]
            answer = await super()._answer(job, chunk)
            note(f"kept {chunk.index}")
            return answer

    orchestrator = NotingOrchestrator(store, CHOICE, num_chunks=NUM_CHUNKS)

    def answer_after_a_while(chunk: Chunk) -> ChunkAnswer:
        orchestrator.chunk_seconds = CHUNK_SECONDS * rng.uniform(0.5, 1.5)
        return answer_of(chunk, seconds=rng.random())

    orchestrator.chunk_seconds = CHUNK_SECONDS
    orchestrator.trouble = answer_after_a_while
    orchestrator.on_begin = lambda chunk: note(f"begun {chunk.index}")
    note("running")
    await LeasedAnalyses(AsyncAnalysisStore(store), orchestrator, settings, CHOICE).run()


if __name__ == "__main__":
    leased_analyses.TICK_SECONDS = 0.05
    asyncio.run(run(Path(sys.argv[1]), Path(sys.argv[2])))
