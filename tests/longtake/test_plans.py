"""Plans and estimates as the client shows them."""

from __future__ import annotations

from longtake import Estimate, Plan
from longtake.parsing import parsed
from tests.deployments.api.result_bodies import ANALYSIS


def test_a_plan_in_a_notebook() -> None:
    chunk = {"chunk_index": 0, "start_time": 0, "end_time": 60, "num_frames": 120, "width": 96, "height": 64}
    plan = {"video_info": ANALYSIS["video_info"], "num_chunks": 1, "chunk_duration": 60, "chunks": [chunk]}
    assert "| 00:00 – 01:00 | 120 of 96x64 |" in parsed(Plan, plan)._repr_markdown_()


def test_an_estimate_that_nothing_was_measured_for() -> None:
    expected = {"decode_seconds": None, "inference_seconds": None, "basis": "No analysis has run yet."}
    estimate = {
        "plan": {"video_info": ANALYSIS["video_info"], "num_chunks": 2, "chunk_duration": 60, "chunks": []},
        "num_chunks": 2,
        "num_frames": 240,
        "effective_fps": 2.0,
        "visual_tokens": 12_345,
        "prompt_tokens": 13_000,
        "frame_bytes": 2_000_000,
        "expected_seconds": None,
        "expected": expected,
        "uncovered": [[60, 118]],
        "notices": ["A notice."],
    }
    text = parsed(Estimate, estimate)._repr_markdown_()
    assert "| expected | not known |" in text and "| not covered | 01:00 – 01:58 |" in text
    assert text.endswith("> No analysis has run yet.\n\n> A notice.\n")
