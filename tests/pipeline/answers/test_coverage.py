"""Coverage of answers, and notices about deviations from the plan."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.answers.coverage import cut_off_notice, measure_coverage, planned_coverage, uncovered
from pipeline.types import (
    Chunk,
    ChunkAnswer,
    ChunkFailure,
    ChunkPlan,
    ChunkText,
    DecodeReport,
    Generation,
    HdrTransfer,
    PictureTreatment,
    TokenUsage,
    VideoInfo,
)

VIDEO = VideoInfo(1280, 720, 25.0, 30.0, 750, "h264", "matroska,webm", 1, "bytes", False, 0.0)
TREATED = PictureTreatment()
"""Nothing was left undone."""
PLAN = ChunkPlan(VIDEO, (), 0.0, 30.0, 10.0, 2.0, 2.0, notices=("Something was planned otherwise.",))


def answered(
    index: int,
    num_frames: int = 20,
    missing: tuple[float, ...] = (),
    fallback_reason: str | None = None,
    finish_reason: str = "stop",
    untreated: PictureTreatment = TREATED,
) -> ChunkAnswer:
    generation = Generation("text", finish_reason, TokenUsage(10, 5), inference_seconds=2.0)
    backend = "pyav" if fallback_reason else "torchcodec"
    report = DecodeReport(num_frames, missing, backend, fallback_reason, 1.0, untreated=untreated)
    return ChunkAnswer(index, index * 10.0, (index + 1) * 10.0, 4.0, 1, ChunkText(generation, report), None)


def failed(index: int) -> ChunkAnswer:
    return ChunkAnswer(index, index * 10.0, (index + 1) * 10.0, 4.0, 4, None, ChunkFailure("replica_lost", "gone"))


def test_everything_was_answered() -> None:
    coverage = measure_coverage(PLAN, [answered(0), answered(1), answered(2)])
    assert coverage.requested_fps == coverage.effective_fps == 2.0
    assert coverage.frames_used == 60
    assert coverage.uncovered == ()
    assert coverage.failed_chunks == ()
    assert coverage.notices == PLAN.notices


def test_of_a_plan_all_chunks_count() -> None:
    def chunk(index: int, start: float, stop: float, num_frames: int) -> Chunk:
        indices = np.arange(num_frames)
        return Chunk(index, start, stop, indices, indices / 2.0, 0.0, 32, 32)

    chunks = (chunk(0, 0.0, 10.0, 20), chunk(1, 12.0, 22.0, 10))
    coverage = planned_coverage(ChunkPlan(VIDEO, chunks, 0.0, 30.0, 10.0, 2.0, 2.0, PLAN.notices))
    assert (coverage.frames_used, coverage.effective_fps, coverage.failed_chunks) == (30, 1.5, ())
    assert coverage.uncovered == ((10.0, 12.0), (22.0, 30.0))
    assert coverage.notices == PLAN.notices


def test_a_failed_chunk_is_a_hole() -> None:
    coverage = measure_coverage(PLAN, [failed(2), answered(0), failed(1)])
    assert coverage.uncovered == ((10.0, 30.0),)
    assert coverage.failed_chunks == (1, 2)
    assert coverage.frames_used == 20
    assert coverage.effective_fps == 2.0


def test_nothing_was_answered() -> None:
    coverage = measure_coverage(PLAN, [failed(0), failed(1), failed(2)])
    assert coverage.uncovered == ((0.0, 30.0),)
    assert coverage.effective_fps == 0.0
    assert coverage.frames_used == 0


def test_missing_frames_lower_the_rate_and_are_told() -> None:
    coverage = measure_coverage(PLAN, [answered(0, 10, missing=(1.0, 2.5)), answered(1), answered(2)])
    assert coverage.effective_fps == pytest.approx(50 / 30)
    assert coverage.notices[1:] == (
        "Chunk 0: 2 of its frames, from 1.0 s to 2.5 s, could not be decoded and were skipped.",
    )


def test_a_fallback_is_told() -> None:
    coverage = measure_coverage(PLAN, [answered(1, fallback_reason="torchcodec cannot open the video")])
    assert coverage.notices[1:] == ("Chunk 1: decoded by pyav: torchcodec cannot open the video.",)


@pytest.mark.parametrize(
    ("needed", "words"),
    [
        (PictureTreatment(HdrTransfer.PQ), "not tone-mapped to SDR"),
        (PictureTreatment(is_deinterlaced=True), "not deinterlaced"),
        (PictureTreatment(HdrTransfer.HLG, is_deinterlaced=True), "not tone-mapped to SDR and not deinterlaced"),
    ],
)
def test_what_no_backend_could_do_is_told(needed: PictureTreatment, words: str) -> None:
    coverage = measure_coverage(PLAN, [answered(index, untreated=needed) for index in range(3)])
    assert coverage.notices[1:] == (
        f"Chunks 0-2: frames were {words}: no backend in decoding.backend_order supports it.",
    )


def test_a_text_that_was_cut_off_is_told() -> None:
    coverage = measure_coverage(PLAN, [answered(1, finish_reason="length")])
    assert coverage.notices[1:] == ("Chunk 1: the answer was cut off at max_tokens.",)


def test_time_in_queues_is_what_is_left() -> None:
    assert answered(0).queue_seconds == 1.0
    assert failed(0).queue_seconds == 0.0


intervals = st.tuples(st.integers(-5, 40), st.integers(1, 15)).map(lambda drawn: (drawn[0], drawn[0] + drawn[1]))


@given(st.integers(0, 20), st.integers(0, 20), st.lists(intervals))
def test_gaps_are_exactly_what_nothing_covers(start: int, length: int, covered: list[tuple[int, int]]) -> None:
    stop = start + length
    gaps = uncovered((start, stop), covered)
    seconds = np.arange(-10, 60) + 0.5
    expected = [start < second < stop and not any(a < second < b for a, b in covered) for second in seconds]
    assert [any(a < second < b for a, b in gaps) for second in seconds] == expected
    assert all(a < b for a, b in gaps)
    assert gaps == sorted(gaps)
    assert all(first[1] < second[0] for first, second in pairwise(gaps))


def test_what_happens_to_many_chunks_is_told_once() -> None:
    cut_off = [answered(index, finish_reason="length") for index in (4, 0, 1, 2)]
    coverage = measure_coverage(PLAN, [*cut_off, answered(3)])
    assert coverage.notices[1:] == ("Chunks 0-2, 4: the answer was cut off at max_tokens.",)


def test_a_merged_answer_that_was_cut_off_says_so() -> None:
    assert cut_off_notice("stop", num_chunks=3, max_tokens=512) is None
    assert cut_off_notice("length", num_chunks=1, max_tokens=512) is None
    assert "max_tokens (512)" in (cut_off_notice("length", num_chunks=3, max_tokens=512) or "")
