"""Chunk answers of stored analyses: looked up before a chunk is decoded, stored as soon as it is answered."""

from deployments.model_choice import ModelChoice
from pipeline.analysis import AnalysisJob
from pipeline.answers.prompting import chunk_question
from pipeline.store import AsyncAnalysisStore, answer_key
from pipeline.types import Chunk, ChunkAnswer, ChunkPlan


class KeptAnswers:
    """Does nothing for a job without a lease: requests that wait are not stored."""

    def __init__(self, store: AsyncAnalysisStore, choice: ModelChoice) -> None:
        self._answers = store.answers
        self._choice = choice

    async def find(self, job: AnalysisJob, plan: ChunkPlan, chunk: Chunk) -> ChunkAnswer | None:
        """Return a stored answer. Raises LeaseLost if the job's runner is gone: no further chunk starts then."""
        if job.lease is None:
            return None
        return await self._answers.find(self._key(job, plan, chunk), chunk.index, job.lease)

    async def keep(self, job: AnalysisJob, plan: ChunkPlan, answer: ChunkAnswer) -> None:
        """Store an answer, but no failure: the next run tries again."""
        if job.lease is None or answer.text is None:
            return
        key = self._key(job, plan, plan.chunks[answer.chunk_index])
        await self._answers.keep(key, job.lease, answer)

    def _key(self, job: AnalysisJob, plan: ChunkPlan, chunk: Chunk) -> str:
        prompt, token_sampling = chunk_question(job, plan, chunk)
        adapter, model = token_sampling.adapter, self._choice.model
        return answer_key(
            plan.video,
            chunk,
            prompt,
            token_sampling,
            # Not the served name: tomorrow it may stand for another model.
            model=model if adapter is None else f"{model} with {self._choice.lora_adapters[adapter]}",
            cache_salt=job.cache_salt,
        )
