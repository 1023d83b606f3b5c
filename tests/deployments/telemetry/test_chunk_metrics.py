"""Metrics of chunks."""

from __future__ import annotations

from dataclasses import replace

from deployments.telemetry.analysis_metrics import AnalysisMetrics
from pipeline.analysis import ChunkDone, PlanReady
from tests.deployments.api.fakes import ANSWERED, PLAN, done
from tests.deployments.telemetry.fake_metrics import FakeMetrics, run


def test_what_a_run_before_counted_is_not_counted_again(kept: FakeMetrics) -> None:
    run(AnalysisMetrics(), PlanReady(PLAN), ChunkDone(ANSWERED, is_recalled=True), done())
    assert kept.value("longtake_chunks_total", outcome="answered") == 0
    assert kept.value("longtake_stage_seconds_total", stage="inference") == 0
    assert len(kept.observations("longtake_time_to_first_chunk_seconds")) == 1


def test_frames_that_were_kept_are_not_decoded_again(kept: FakeMetrics) -> None:
    assert ANSWERED.text
    text = replace(ANSWERED.text, decode=ANSWERED.text.decode.reused())
    run(AnalysisMetrics(), PlanReady(PLAN), ChunkDone(replace(ANSWERED, text=text)), done())
    assert kept.value("longtake_frames_total") == 3
    assert kept.observations("longtake_decode_seconds") == []
    assert kept.value("longtake_decoder_fallbacks_total", decoder="pyav") == 0
