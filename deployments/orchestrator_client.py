"""The Orchestrator, as the other deployments call it."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Protocol
from uuid import uuid4

from ray.serve.handle import DeploymentHandle

from deployments.logs import current_trail
from pipeline.analysis import AnalysisDone, AnalysisEvent, AnalysisJob, Estimate
from pipeline.types import Trail


class Analyzer(Protocol):
    """Runs analyses."""

    def analyze(self, job: AnalysisJob) -> AsyncGenerator[AnalysisEvent, None]:
        """Yield the events of an analysis: first its plan, last an AnalysisDone. Closing the generator cancels it."""
        ...


class OrchestratorClient(Analyzer, Protocol):
    """Every call of Ingress to the Orchestrator."""

    async def estimate(self, job: AnalysisJob) -> Estimate: ...

    async def max_model_len(self) -> int: ...

    async def check_ready(self) -> None:
        """Raise EngineFailed unless the engine generates a token."""
        ...


class OrchestratorHandle:
    """An OrchestratorClient over a Serve handle."""

    def __init__(self, handle: DeploymentHandle) -> None:
        self._handle = handle
        self._stream = handle.options(stream=True)

    async def analyze(self, job: AnalysisJob) -> AsyncGenerator[AnalysisEvent, None]:
        events = self._stream.analyze.remote(replace(job, trail=begin_trail(job.trail)))
        is_done = False
        try:
            async for event in events:
                is_done = isinstance(event, AnalysisDone)
                yield event
        except BaseException:
            # Serve itself cancels only calls that belong to an HTTP request, when that request ends.
            if not is_done:
                events.cancel()
            raise

    async def estimate(self, job: AnalysisJob) -> Estimate:
        estimate: Estimate = await self._handle.estimate.remote(job)
        return estimate

    async def max_model_len(self) -> int:
        return int(await self._handle.max_model_len.remote())

    async def check_ready(self) -> None:
        await self._handle.check_ready.remote()


def begin_trail(trail: Trail) -> Trail:
    """Give an analysis an id and make it a child of the current span, unless it already has them."""
    return replace(
        trail,
        analysis_id=trail.analysis_id or f"analysis-{uuid4().hex}",
        traceparent=trail.traceparent or current_trail().traceparent,
    )
