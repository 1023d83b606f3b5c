"""What is counted of analyses, chunks, frames and sources."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import suppress
from dataclasses import replace

import pytest

from deployments.telemetry.metrics import (
    OUTCOMES,
    AnalysisMetrics,
    DecoderMetrics,
    FrameStoreMetrics,
    SourceMetrics,
)
from pipeline.analysis import AnalysisEvent, AnswerDelta, ChunkDone, PlanReady
from pipeline.errors import DecodeFailed, EngineBusy, EngineDied, InvalidRequest, LongtakeError, SourceNotFound
from pipeline.isolation.process import WorkAborted
from tests.deployments.api.fakes import ANSWERED, FAILED, PLAN, WHOLE, done
from tests.deployments.telemetry.fake_metrics import FakeMetrics, all_metrics


def run(metrics: AnalysisMetrics, *events: AnalysisEvent | BaseException) -> None:
    tally = metrics.tally()
    with tally.counting():
        for event in events:
            if isinstance(event, BaseException):
                raise event
            tally.count(event)


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


def test_the_frame_store(kept: FakeMetrics) -> None:
    store = FrameStoreMetrics(100, 50)
    store.in_flight(30)
    store.kept(20)
    store.asked(is_kept=True)
    store.asked(is_kept=False)
    store.asked(is_kept=False)
    assert kept.value("longtake_frames_limit_bytes", use="in_flight") == 100
    assert kept.value("longtake_frames_limit_bytes", use="kept") == 50
    assert kept.value("longtake_frames_bytes", use="in_flight") == 30
    assert kept.value("longtake_frames_bytes", use="kept") == 20
    assert kept.value("longtake_frame_cache_hits_total") == 1
    assert kept.value("longtake_frame_cache_misses_total") == 2


def test_gauges_go_on_saying_what_they_said(kept: FakeMetrics) -> None:
    """Ray forgets them."""
    store = FrameStoreMetrics(100, 50)
    store.in_flight(30)
    store.in_flight(20)
    kept.values.clear()
    until = time.monotonic() + 5
    while len(kept.values) < 3 and time.monotonic() < until:
        time.sleep(0.05)
    assert kept.value("longtake_frames_limit_bytes", use="in_flight") == 100
    assert kept.value("longtake_frames_limit_bytes", use="kept") == 50
    assert kept.value("longtake_frames_bytes", use="in_flight") == 20


def test_sources(kept: FakeMetrics) -> None:
    sources = SourceMetrics()
    for source, num_bytes in (("http", 10), ("s3", 5), ("http", 0), ("http", 1)):
        sources.fetched(source, num_bytes)
    assert kept.value("longtake_source_fetched_bytes_total", source="http") == 11
    assert kept.value("longtake_source_fetched_bytes_total", source="s3") == 5


@pytest.mark.parametrize(
    ("error", "kind"),
    [(DecodeFailed("No picture."), "decode_failed"), (OSError(), "internal_error"), (WorkAborted(), None)],
)
def test_decoders(error: Exception, kind: str | None, kept: FakeMetrics) -> None:
    metrics = DecoderMetrics()
    with pytest.raises(type(error)), metrics.decoding():
        raise error
    assert [labels for name, labels in kept.values if name == "longtake_decoder_failures_total"] == (
        [(("type", kind),)] if kind else []
    )
    metrics.lost(2)
    metrics.lost(2)
    metrics.lost(3)
    assert kept.value("longtake_decoder_workers_lost_total") == 3
    assert ANSWERED.text
    metrics.decoded(ANSWERED.text.decode)
    assert kept.observations("longtake_decoder_seconds", decoder="pyav") == [1.5]


def test_names_say_their_units() -> None:
    kinds = all_metrics().kinds
    assert len(kinds) > 25
    for name, kind in kinds.items():
        assert re.fullmatch(r"longtake(_[a-z]+)+", name)
        assert name.endswith("_total") == (kind == "counter")
        assert name.endswith("_seconds") == (kind == "histogram")


def test_labels_have_few_values() -> None:
    """An id or a URL among them would make a series of each."""
    assert {label for labels in all_metrics().label_names.values() for label in labels} == {
        "outcome", "type", "decoder", "use", "source", "stage",
    }  # fmt: skip
    assert all(re.fullmatch("[a-z_]+", error.type_name()) for error in LongtakeError.__subclasses__())
