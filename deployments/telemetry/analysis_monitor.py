"""An analysis as its operator sees it: metrics, a trace, a first and a last line in the log."""

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace

from deployments.logs import logger
from deployments.telemetry.analysis_metrics import FAILED, AnalysisMetrics, AnalysisTally
from deployments.telemetry.tracing import Stage, stage
from pipeline.analysis import AnalysisDone, AnalysisEvent, AnalysisJob, PlanReady


class AnalysisMonitor:
    """Monitors the analyses of one Orchestrator replica."""

    def __init__(self) -> None:
        self._metrics = AnalysisMetrics()

    async def run(
        self, job: AnalysisJob, analyze: Callable[[AnalysisJob], AsyncGenerator[AnalysisEvent, None]]
    ) -> AsyncGenerator[AnalysisEvent, None]:
        """Yield the events of `analyze`, which gets the job with the trail of this analysis' span.

        The last event is yielded after everything is counted, so callers may stop reading at it.
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
                _record_outcome(analysis, tally, done)
        if done is not None:
            yield done


def _record_outcome(analysis: Stage, tally: AnalysisTally, done: AnalysisDone | None) -> None:
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
