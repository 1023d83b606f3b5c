"""What the terminal shows."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console, RenderableType

from longtake import Answer, Estimate, ServerEvent
from longtake.commands.display import answer_shown, estimate_shown, stages
from longtake.events import EVENT_TYPES
from longtake.parsing import parsed
from tests.longtake.bodies import ANALYSIS

PLAN: dict[str, Any] = {
    "video_info": ANALYSIS["video_info"],
    "num_chunks": 2,
    "chunk_duration": 60.0,
    "chunks": [{"chunk_index": 0, "start_time": 0, "end_time": 60, "num_frames": 4, "width": 1152, "height": 640}],
    "notices": [],
}


def shown(renderable: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(renderable)
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    return text


def event(name: str, **data: Any) -> ServerEvent:
    return EVENT_TYPES[name](name, data)


def test_stages_of_an_analysis() -> None:
    console = Console(file=io.StringIO(), width=120)
    with stages(console, "cat.mp4: What happens?", is_shown=True, uploads=True) as bars:
        bars.update_upload(1_000_000, 2_000_000)
        bars.update_upload(2_000_000, 2_000_000)
        bars.update(event("plan", **PLAN))
        for chunk in ANALYSIS["chunk_results"]:
            bars.update(event("chunk", **chunk))
        bars.update(event("progress", stage="chunks", chunks_done=2, num_chunks=2))
        bars.update(event("progress", stage="merging", chunks_done=2, num_chunks=2))
        bars.update(event("delta", text="A cat "))
        bars.update(event("delta", text="sits."))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "cat.mp4: What happens?" in text
    for words in ("2.0 of 2.0 MB", "1280x720 h264, 01:58, 2,950 frames", "2 of 2, 1.5 s of decoding", "1 failed"):
        assert words in text
    assert "11 characters" in text


def test_nothing_is_shown_where_it_is_quiet() -> None:
    console = Console(file=io.StringIO(), width=120)
    with stages(console, "cat.mp4", is_shown=False) as bars:
        bars.update(event("plan", **PLAN))
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]


def test_an_answer() -> None:
    answer = parsed(Answer, ANALYSIS | {"notice": "A small model.", "citations": []})
    text = shown(answer_shown(answer, "cat.mp4", with_notice=True))
    for words in ("A cat sits all day.", "1 of 2 chunks", "longtake-demo", "Note: A small model.", "Note: A notice."):
        assert words in text
    assert "Not answered: 00:58 – 01:58: No frame could be decoded." in text
    assert "A small model." not in shown(answer_shown(answer, "cat.mp4", with_notice=False))


def test_an_estimate() -> None:
    expected = {"decode_seconds": 3.0, "inference_seconds": 200.0, "merge_seconds": 0.0, "basis": "Measured."}
    estimate = parsed(
        Estimate,
        {
            "plan": PLAN,
            "num_chunks": 2,
            "num_frames": 8,
            "effective_fps": 0.067,
            "visual_tokens": 1000,
            "prompt_tokens": 1100,
            "frame_bytes": 2_000_000,
            "expected_seconds": 90.0,
            "expected": expected,
            "uncovered": [[60, 118]],
            "notices": ["A notice."],
        },
    )
    text = shown(estimate_shown(estimate, "cat.mp4", with_chunks=True))
    for words in ("2 of up to 60 s", "01:00 – 01:58", "90.0 s", "decoding 3.0 s and inference 03:20", "1152x640"):
        assert words in text
    assert "1152x640" not in shown(estimate_shown(estimate, "cat.mp4", with_chunks=False))
