"""Priorities of engine requests."""

from __future__ import annotations

from pipeline.analysis import TURN_SECONDS, AnalysisJob
from pipeline.types import ChunkingRequest, FrameSampling, LocalVideo, Prompt, TokenSampling

SAMPLING = TokenSampling(8, 0.0, 1.0, 0, 1)
NOON = 1.8e9


def asked(at: float) -> AnalysisJob:
    frames = FrameSampling(2.0, None, 768, 4096, 8192, 10**6, 4)
    chunking = ChunkingRequest(60.0, 2.0, 0.0, None, frames)
    return AnalysisJob(LocalVideo("a.mp4"), Prompt("What?"), chunking, SAMPLING, SAMPLING, True, "Merge.", at)


def order(**jobs: tuple[AnalysisJob, int]) -> list[str]:
    return sorted(jobs, key=lambda name: jobs[name][0].turn(jobs[name][1]).priority)


def test_chunks_of_one_analysis_run_in_order_of_time() -> None:
    job = asked(at=NOON)
    assert order(third=(job, 2), first=(job, 0), second=(job, 1)) == ["first", "second", "third"]


def test_a_merge_runs_before_later_analyses() -> None:
    assert asked(at=NOON).turn().priority < asked(at=NOON + 0.01).turn(0).priority


def test_a_short_analysis_does_not_wait_for_a_long_one() -> None:
    assert order(late=(asked(at=NOON), 40), short=(asked(at=NOON + 5), 0)) == ["short", "late"]


def test_short_analyses_do_not_starve_a_long_one() -> None:
    later = NOON + 40 * TURN_SECONDS + 0.01
    assert order(short=(asked(at=later), 0), late=(asked(at=NOON), 40)) == ["late", "short"]
