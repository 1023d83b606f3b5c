"""Times in texts, field by field."""

from __future__ import annotations

import pytest

from deployments.wire.time_bodies import CitationBody, FoundTimeBody, TimedResultBody
from pipeline.types import Citation, TimedResult


def test_the_times_of_a_text() -> None:
    assert [body.model_dump() for body in FoundTimeBody.in_text("🎬 At 7.5 s, and [1:02:03.5]: a cat.")] == [
        {"text": "7.5", "time": 7.5, "start": 5, "stop": 8},
        {"text": "[1:02:03.5]", "time": 3723.5, "start": 16, "stop": 27},
    ]


@pytest.mark.parametrize(("chunk_index", "supported"), [(3, True), (0, True), (None, False)])
def test_a_citation(chunk_index: int | None, supported: bool) -> None:
    assert CitationBody.of(Citation("1.2", 1.2004, 8, 11, chunk_index)).model_dump() == {
        "text": "1.2",
        "time": 1.2,
        "start": 8,
        "stop": 11,
        "supported": supported,
        "chunk_index": chunk_index,
    }


@pytest.mark.parametrize(("place", "start", "stop"), [((3, 14), 3, 14), (None, None, None)])
def test_a_timed_result(place: tuple[int, int] | None, start: int | None, stop: int | None) -> None:
    assert TimedResultBody.of(TimedResult(1.2004, 118.0004, "A cat.", 0, place)).model_dump() == {
        "start_time": 1.2,
        "end_time": 118.0,
        "text": "A cat.",
        "supported": True,
        "chunk_index": 0,
        "start": start,
        "stop": stop,
    }
