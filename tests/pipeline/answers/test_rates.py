"""Forecasts by measured rates."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.answers.rates import NOTHING_MEASURED, WINDOW_CHUNKS, MeasuredRates, chunk_prompt_tokens, workload
from pipeline.types import (
    Chunk,
    ChunkAnswer,
    ChunkFailure,
    ChunkPlan,
    ChunkText,
    DecodeReport,
    Generation,
    Prompt,
    TokenUsage,
    VideoInfo,
)

VIDEO = VideoInfo(1000, 500, 20.0, 60.0, 1200, "h264", "matroska,webm", 1, "bytes", False, 0.0)
"""10 megapixels a second."""
PROMPT = Prompt("What happens?")


def chunk(index: int, num_frames: int = 20) -> Chunk:
    """10 s, of which frames of 64x96 are looked at: 6 tokens a pair."""
    indices = np.arange(num_frames)
    return Chunk(index, index * 10.0, index * 10.0 + 10.0, indices, indices / 2.0, 0.0, 64, 96)


def plan(num_chunks: int) -> ChunkPlan:
    chunks = tuple(chunk(index) for index in range(num_chunks))
    return ChunkPlan(VIDEO, chunks, 0.0, num_chunks * 10.0, 10.0, 2.0, 2.0)


def answer(
    index: int, decode_seconds: float = 1.0, inference_seconds: float = 3.0, cached: int = 0, is_reused: bool = False
) -> ChunkAnswer:
    generation = Generation("text", "stop", TokenUsage(100, 10, cached), inference_seconds)
    report = DecodeReport(20, (), "planned", None, decode_seconds, is_reused=is_reused)
    return ChunkAnswer(index, index * 10.0, index * 10.0 + 10.0, 5.0, 1, ChunkText(generation, report), None)


def measured(num_chunks: int = 4, seconds: float = 8.0) -> MeasuredRates:
    """Of one analysis: 1 s of decoding and 3 s of inference for each chunk, two of them at a time."""
    rates = MeasuredRates()
    answers = [answer(index) for index in range(num_chunks)]
    for chunk_answer in answers:
        rates.record_chunk(VIDEO, chunk(chunk_answer.chunk_index), PROMPT, chunk_answer)
    rates.record_overlap(answers, seconds)
    rates.record_merge(num_chunks, 2.0)
    return rates


def test_workload() -> None:
    work = workload(plan(3), PROMPT, is_merged=True)
    assert work.num_chunks == 3
    assert work.source_megapixels == pytest.approx(300)
    assert work.visual_tokens == 3 * 10 * 6
    assert work.prompt_tokens == 3 * chunk_prompt_tokens(chunk(0), PROMPT) > work.visual_tokens
    assert work.frame_bytes == 3 * 20 * 64 * 96 * 3


def test_an_odd_last_frame_makes_a_pair() -> None:
    odd = ChunkPlan(VIDEO, (chunk(0, num_frames=5),), 0.0, 10.0, 10.0, 2.0, 2.0)
    assert workload(odd, PROMPT, is_merged=False).visual_tokens == 3 * 6


def test_nothing_measured_is_no_figure() -> None:
    expected = MeasuredRates().expected(workload(plan(3), PROMPT, is_merged=True))
    assert (expected.whole, expected.decoding, expected.inference, expected.merging) == (None, None, None, None)
    assert expected.basis == NOTHING_MEASURED


def test_twice_the_video_takes_twice_as_long() -> None:
    expected = measured().expected(workload(plan(8), PROMPT, is_merged=True))
    assert expected.decoding == pytest.approx(8)
    assert expected.inference == pytest.approx(24)
    assert expected.merging == pytest.approx(4)
    assert expected.whole == pytest.approx((8 + 24) / 2 + 4)
    assert "4 chunks" in expected.basis and "not measured" not in expected.basis


def test_a_single_chunk_overlaps_nothing_and_is_not_merged() -> None:
    expected = measured().expected(workload(plan(1), PROMPT, is_merged=False))
    assert (expected.merging, expected.whole) == (0.0, pytest.approx(1 + 3))


def test_chunks_overlap_no_more_than_there_are() -> None:
    expected = measured(8, seconds=4.0).expected(workload(plan(2), PROMPT, is_merged=False))  # 8 at a time
    assert expected.whole == pytest.approx(2 * (1 + 3) / 2)


def test_what_is_not_measured_is_left_out_and_said() -> None:
    rates = MeasuredRates()
    rates.record_chunk(VIDEO, chunk(0), PROMPT, answer(0))
    expected = rates.expected(workload(plan(2), PROMPT, is_merged=True))
    assert expected.whole == pytest.approx(2 * (1 + 3))
    assert expected.merging is None
    assert "times are added up" in expected.basis and "No merge" in expected.basis


def test_what_was_kept_or_failed_teaches_nothing() -> None:
    rates = measured()
    before = rates.expected(workload(plan(3), PROMPT, is_merged=True))
    kept = [answer(index, 0.0, 0.1, cached=90, is_reused=True) for index in range(3)]
    for chunk_answer in kept:
        rates.record_chunk(VIDEO, chunk(chunk_answer.chunk_index), PROMPT, chunk_answer)
    rates.record_overlap(kept, 0.1)
    failed = ChunkAnswer(0, 0.0, 10.0, 600.0, 4, None, ChunkFailure("replica_lost", "gone"))
    rates.record_chunk(VIDEO, chunk(0), PROMPT, failed)
    rates.record_overlap([failed, answer(1)], 600.0)
    assert rates.expected(workload(plan(3), PROMPT, is_merged=True)) == before


def test_what_was_measured_lately_counts_most() -> None:
    rates = measured()
    for _ in range(5 * WINDOW_CHUNKS):
        rates.record_chunk(VIDEO, chunk(0), PROMPT, answer(0, decode_seconds=2.0))
    assert rates.expected(workload(plan(1), PROMPT, is_merged=False)).decoding == pytest.approx(2, rel=0.01)
