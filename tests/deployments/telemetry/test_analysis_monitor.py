"""One analysis: its span, its metrics and its lines in the log."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from deployments.telemetry.analysis_monitor import AnalysisMonitor
from pipeline.analysis import AnalysisDone, AnalysisEvent, AnalysisJob, ChunkDone, PlanReady
from pipeline.errors import SourceNotFound
from pipeline.types import NO_TRAIL, Trail
from tests.deployments.api.fakes import FAILED, PLAN, WHOLE, done
from tests.deployments.telemetry.fake_metrics import FakeMetrics
from tests.deployments.telemetry.tracing_provider import SECRET, exported
from tests.otlp import Collector


def job(trail: Trail = NO_TRAIL) -> AnalysisJob:
    fields: dict[str, Any] = dict.fromkeys(
        ("source", "prompt", "chunking", "token_sampling", "chunk_token_sampling", "aggregate", "merge_instruction")
    )
    return AnalysisJob(**fields, asked_at=0, trail=trail)


class Analysis:
    """Plays `events`; keeps the job that it was given, and whether it was closed."""

    def __init__(self, *events: AnalysisEvent | Exception) -> None:
        self.events = events
        self.job: AnalysisJob | None = None
        self.is_closed = False

    async def __call__(self, job: AnalysisJob) -> AsyncGenerator[AnalysisEvent, None]:
        self.job = job
        try:
            for event in self.events:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.is_closed = True


async def test_an_analysis_is_a_span_and_two_lines(
    collector: Collector, kept: FakeMetrics, caplog: pytest.LogCaptureFixture
) -> None:
    analysis = Analysis(*WHOLE)
    with caplog.at_level(logging.INFO):
        events = [event async for event in AnalysisMonitor().run(job(Trail("analysis-1")), analysis)]
    assert events == list(WHOLE)
    span = exported(collector)["analysis"]
    assert analysis.job and analysis.job.trail.traceparent
    assert analysis.job.trail.traceparent.split("-")[1:3] == [span.trace_id, span.span_id]
    assert span.attributes["longtake.outcome"] == "partial"
    assert span.attributes["longtake.num_chunks"] == 2
    assert span.attributes["longtake.chunks_answered"] == 1
    assert span.error is None
    first, last = caplog.records
    assert (first.getMessage(), last.getMessage()[:16]) == ("analysis begun", "analysis partial")
    assert vars(last)["outcome"] == "partial" and vars(last)["chunks"] == 2


async def test_all_is_counted_when_the_answer_comes(collector: Collector, kept: FakeMetrics) -> None:
    async with aclosing(AnalysisMonitor().run(job(), Analysis(*WHOLE))) as events:
        async for event in events:
            if isinstance(event, AnalysisDone):
                break
    assert kept.value("longtake_analyses_total", outcome="partial") == 1
    assert "longtake.given_up" not in exported(collector)["analysis"].attributes


async def test_a_client_that_leaves(collector: Collector, kept: FakeMetrics) -> None:
    analysis = Analysis(*WHOLE)
    async with aclosing(AnalysisMonitor().run(job(), analysis)) as events:
        assert isinstance(await anext(events), PlanReady)
    assert analysis.is_closed
    assert kept.value("longtake_analyses_total", outcome="cancelled") == 1
    span = exported(collector)["analysis"]
    assert span.attributes["longtake.outcome"] == "cancelled" and span.error is None


@pytest.mark.parametrize(
    ("events", "outcome", "error"),
    [
        ([SourceNotFound(SECRET)], "rejected", "source_not_found"),
        ([ChunkDone(FAILED), done(None, chunk_answers=(FAILED,))], "failed", "no_chunk_answered"),
    ],
)
async def test_an_analysis_without_an_answer(
    events: list[AnalysisEvent | Exception],
    outcome: str,
    error: str,
    collector: Collector,
    kept: FakeMetrics,
    caplog: pytest.LogCaptureFixture,
) -> None:
    watched: AsyncIterator[AnalysisEvent] = AnalysisMonitor().run(job(), Analysis(PlanReady(PLAN), *events))
    with caplog.at_level(logging.INFO):
        try:
            async for _ in watched:
                pass
        except SourceNotFound:
            pass
    span = exported(collector)["analysis"]
    assert (span.attributes["longtake.outcome"], span.error) == (outcome, error)
    assert f"analysis {outcome} ({error})" in caplog.text
    assert SECRET not in caplog.text
