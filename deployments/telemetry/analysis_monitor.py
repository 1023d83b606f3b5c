"""An analysis as its operator sees it: metrics, a trace, its first and its last line in the log."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace

from deployments.logs import logger
from deployments.telemetry.metrics import FAILED, AnalysisMetrics, AnalysisTally
from deployments.telemetry.tracing import Stage, stage
from pipeline.analysis import AnalysisDone, AnalysisEvent, AnalysisJob, PlanReady


class AnalysisMonitor:
    """Of one Orchestrator replica."""

    def __init__(self) -> None:
        self._metrics = AnalysisMetrics()

    async def over(
        self, job: AnalysisJob, analyze: Callable[[AnalysisJob], AsyncGenerator[AnalysisEvent, None]]
    ) -> AsyncIterator[AnalysisEvent]:
        """The events of `analyze`, which is given the job with the trail that its parts follow.

        The last event is passed on when all is counted: nobody need read on after it.
        """
        done: AnalysisDone | None = None
        with stage("analysis", job.trail) as analysis:
            tally = self._metrics.tally()
            logger.info("analysis begun")
            try:
                with tally.counting():
                    async with aclosing(analyze(replace(job, trail=analysis.trail))) as events:
                        async for event in events:
                            tally.count(event)
                            if isinstance(event, AnalysisDone):
                                done = event
                                break
                            if isinstance(event, PlanReady):
                                analysis.set(num_chunks=len(event.plan.chunks), planned_fps=event.plan.planned_fps)
                            yield event
            finally:
                _tell_end(analysis, tally, done)
        if done is not None:
            yield done


def _tell_end(analysis: Stage, tally: AnalysisTally, done: AnalysisDone | None) -> None:
    analysis.set(outcome=tally.outcome)
    if tally.outcome == FAILED:
        analysis.fail(tally.error_type)
    numbers: dict[str, int] = {}
    if done is not None:
        numbers = {
            "chunks": len(done.chunk_answers),
            "chunks_answered": done.num_answered,
            "frames": done.coverage.frames_used,
            "prompt_tokens": done.usage.prompt_tokens,
            "completion_tokens": done.usage.completion_tokens,
        }
        analysis.set(**numbers)
    reason = f" ({tally.error_type})" if tally.error_type else ""
    logger.info(
        "analysis %s%s after %.3f s",
        tally.outcome,
        reason,
        tally.seconds,
        extra=numbers | {"outcome": tally.outcome, "seconds": round(tally.seconds, 3)},
    )
