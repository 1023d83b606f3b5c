"""The Orchestrator, as the other deployments call it."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol
from uuid import uuid4

from ray.serve.handle import DeploymentHandle

from deployments.logs import current_trail, logger
from deployments.serving.ray_errors import is_replica_loss
from deployments.serving.retries import FIRST_PAUSE_SECONDS, with_retries
from pipeline.analysis import AnalysisDone, AnalysisEvent, AnalysisJob, Estimate
from pipeline.errors import ReplicaLost
from pipeline.types import Trail

ATTEMPTS = 2
"""A request that lost two Orchestrator replicas is not sent to a third: it may have killed them."""


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
    """An OrchestratorClient over a Serve handle.

    When a replica is lost, a call that has returned nothing yet is retried. Otherwise it raises ReplicaLost.
    """

    def __init__(self, handle: DeploymentHandle) -> None:
        self._handle = handle
        self._stream = handle.options(stream=True)

    async def analyze(self, job: AnalysisJob) -> AsyncGenerator[AnalysisEvent, None]:
        job = replace(job, trail=begin_trail(job.trail))
        for attempt in range(1, ATTEMPTS + 1):
            is_begun = False
            try:
                async with aclosing(self._attempt(job)) as events:
                    async for event in events:
                        is_begun = True
                        yield event
                return
            except Exception as error:
                if not is_replica_loss(error):
                    raise
                if is_begun or attempt == ATTEMPTS:
                    raise ReplicaLost("The replica that ran this analysis was lost; try again later.") from error
                logger.warning("%s: the Orchestrator was lost before the plan; retrying", job.trail.analysis_id)
            await asyncio.sleep(FIRST_PAUSE_SECONDS)

    async def _attempt(self, job: AnalysisJob) -> AsyncGenerator[AnalysisEvent, None]:
        events = self._stream.analyze.remote(job)
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
        estimate: Estimate
        estimate = await with_retries(lambda: self._handle.estimate.remote(job), attempts=ATTEMPTS, what="The estimate")
        return estimate

    async def max_model_len(self) -> int:
        return int(await with_retries(self._handle.max_model_len.remote, attempts=ATTEMPTS, what="The engine"))

    async def check_ready(self) -> None:
        await with_retries(self._handle.check_ready.remote, attempts=ATTEMPTS, what="The engine")


def begin_trail(trail: Trail) -> Trail:
    """Give an analysis an id and make it a child of the current span, unless it already has them."""
    return replace(
        trail,
        analysis_id=trail.analysis_id or f"analysis-{uuid4().hex}",
        traceparent=trail.traceparent or current_trail().traceparent,
    )
