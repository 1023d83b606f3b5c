"""Metrics of whole analyses."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from deployments.telemetry.analysis_metrics import OUTCOMES, AnalysisMetrics
from pipeline.analysis import AnalysisEvent, AnswerDelta, ChunkDone
from pipeline.errors import DecodeFailed, EngineBusy, EngineDied, InvalidRequest, SourceNotFound
from tests.deployments.api.fakes import ANSWERED, FAILED, WHOLE, done
from tests.deployments.telemetry.fake_metrics import FakeMetrics, run


def outcomes(kept: FakeMetrics) -> dict[str, float]:
    counted = {outcome: kept.value("longtake_analyses_total", outcome=outcome) for outcome in OUTCOMES}
    return {outcome: count for outcome, count in counted.items() if count}


def test_an_analysis_of_two_chunks(kept: FakeMetrics) -> None:
    run(AnalysisMetrics(), *WHOLE)
    assert outcomes(kept) == {"partial": 1}
    assert kept.value("longtake_chunks_total", outcome="answered") == 1
    assert kept.value("longtake_chunks_total", outcome="failed") == 1
    assert kept.value("longtake_chunk_failures_total", type="decode_failed") == 1
    assert kept.value("longtake_chunk_retries_total") == 1 + 3
    assert kept.value("longtake_frames_total") == 3
    assert kept.value("longtake_missing_frames_total") == 1
    assert kept.value("longtake_degraded_chunks_total") == 1
    assert kept.value("longtake_decoder_fallbacks_total", decoder="pyav") == 1
    assert kept.observations("longtake_decode_seconds") == [1.5]
    assert kept.observations("longtake_inference_seconds") == [2.5]
    assert kept.observations("longtake_queue_seconds") == [pytest.approx(1.0004)]
    assert kept.value("longtake_stage_seconds_total", stage="decode") == 1.5
    assert kept.value("longtake_stage_seconds_total", stage="inference") == 2.5
    assert kept.value("longtake_stage_seconds_total", stage="queue") == pytest.approx(1.0004)
    assert kept.value("longtake_stage_seconds_total", stage="merge") > 0
    assert kept.observations("longtake_chunk_seconds") == [5.0004, 3.0]
    assert kept.value("longtake_prompt_tokens_total") == 150
    assert kept.value("longtake_completion_tokens_total") == 20
    assert kept.value("longtake_cached_prompt_tokens_total") == 0
    for once in ("longtake_merge_seconds", "longtake_time_to_first_chunk_seconds"):
        assert len(kept.observations(once)) == 1
    assert len(kept.observations("longtake_time_to_first_token_seconds")) == 1  # of two deltas and the answer
    assert len(kept.observations("longtake_analysis_seconds", outcome="partial")) == 1
    assert kept.value("longtake_analyses_under_way") == 0


@pytest.mark.parametrize(
    ("outcome", "events"),
    [
        ("completed", [done(chunk_answers=(ANSWERED,))]),
        ("partial", [done(None, chunk_answers=(ANSWERED,), answer_error="It failed.")]),
        ("failed", [ChunkDone(FAILED), done(None, chunk_answers=(FAILED,))]),
        ("rejected", [InvalidRequest("fps is 0")]),
        ("rejected", [SourceNotFound("There is none.")]),
        ("rejected", [DecodeFailed("No picture.")]),
        ("refused", [EngineBusy("Come again.")]),
        ("failed", [EngineDied("It died.")]),
        ("failed", [ValueError("a defect of ours")]),
        ("cancelled", [AnswerDelta("A cat"), asyncio.CancelledError()]),
        ("cancelled", [GeneratorExit()]),
    ],
)
def test_how_an_analysis_ends(outcome: str, events: list[AnalysisEvent | BaseException], kept: FakeMetrics) -> None:
    with suppress(BaseException):  # a cancellation is no Exception
        run(AnalysisMetrics(), *events)
    assert outcomes(kept) == {outcome: 1}
    assert kept.value("longtake_analyses_under_way") == 0


def test_analyses_under_way(kept: FakeMetrics) -> None:
    metrics = AnalysisMetrics()
    with metrics.tally().counting(), metrics.tally().counting():
        assert kept.value("longtake_analyses_under_way") == 2
    assert kept.value("longtake_analyses_under_way") == 0
