"""Times in answers are supported by chunk answers, or not."""

from __future__ import annotations

import pytest

from pipeline.answers.citations import MAX_LISTED, check_citations, unsupported_notice
from pipeline.answers.prompting import clock
from pipeline.types import ChunkAnswer, ChunkFailure, ChunkText, Citation, DecodeReport, Generation, TokenUsage

STEP = 1.0


def chunk(index: int, text: str | None, start: float, stop: float) -> ChunkAnswer:
    report = DecodeReport(20, (), "planned", None, 1.0)
    said = None if text is None else ChunkText(Generation(text, "stop", TokenUsage(10, 5), 1.0), report)
    failure = ChunkFailure("replica_lost", "gone") if text is None else None
    return ChunkAnswer(index, start, stop, 2.0, 1, said, failure)


def supported_by(answer: str, *chunks: ChunkAnswer) -> list[int | None]:
    return [citation.chunk_index for citation in check_citations(answer, chunks, step_seconds=STEP)]


def test_a_time_that_a_chunk_gave_holds() -> None:
    chunks = (chunk(0, "0.2 red star. 6.3 blue star.", 0, 30), chunk(1, "28.2 blue star. 40.4 red circle.", 28, 60))
    assert supported_by("0.2 red star. 6.3 blue star. 40.4 red circle.", *chunks) == [0, 0, 1]


@pytest.mark.parametrize(
    ("answer", "note", "holds"),
    [
        ("11.4 red star.", "10.4 red star.", True),  # one step
        ("11.5 red star.", "10.4 red star.", False),
        ("[00:12] A red star.", "10.4 red star.", True),  # a step and what rounding takes
        ("[00:13] A red star.", "10.4 red star.", False),
        ("[00:12] A red star.", "[00:10] A red star.", True),
        ("[00:13] A red star.", "[00:10] A red star.", False),
    ],
)
def test_how_near_is_near(answer: str, note: str, holds: bool) -> None:
    assert supported_by(answer, chunk(0, note, 0, 30)) == [0 if holds else None]


def test_the_nearest_chunk_is_named() -> None:
    chunks = (chunk(0, "29.0 red star.", 0, 30), chunk(1, "28.4 red star.", 28, 60))
    assert supported_by("28.5 red star.", *chunks) == [1]


def test_a_chunk_without_times_vouches_for_what_it_covers() -> None:
    chunks = (chunk(0, "A cat sits there.", 0, 30), chunk(1, "45.0 dog.", 28, 60))
    assert supported_by("[00:10] A cat. [00:31] A cat. [00:50] A dog.", *chunks) == [0, 0, None]


def test_a_time_that_is_given_goes_before_one_that_is_covered() -> None:
    chunks = (chunk(0, "A cat sits there.", 0, 30), chunk(1, "29.8 dog.", 28, 60))
    assert supported_by("29.0 dog.", *chunks) == [1]


def test_nobody_vouches_for_what_it_did_not_see() -> None:
    assert supported_by("50.0 red star.", chunk(0, "50.0 red star.", 0, 30)) == [None]
    assert supported_by("[00:50] A red star.", chunk(0, "50.0 red star.", 0, 30), chunk(1, None, 30, 60)) == [None]


def test_a_citation_says_where_it_stands() -> None:
    answer = "Grüße 🎬 [00:05] ja, [00:05] ja, at 7.5 s."
    citations = check_citations(answer, [chunk(0, "A cat sits there.", 0, 30)], step_seconds=STEP)
    assert [(one.start, one.stop) for one in citations] == [(8, 15), (20, 27), (35, 38)]
    assert [answer[one.start : one.stop] for one in citations] == ["[00:05]", "[00:05]", "7.5"]


def test_no_answer_has_no_citations() -> None:
    assert check_citations(None, [chunk(0, "0.2 red star.", 0, 30)], step_seconds=STEP) == ()


def test_what_does_not_hold_is_named_once() -> None:
    citations = [
        Citation("[00:10]", 10, 0, 7, 0),
        *[Citation("[00:40]", 40, 10, 17, None)] * 2,
        Citation("[00:50]", 50, 20, 27, None),
    ]
    assert unsupported_notice(citations) == "No chunk's answer supports these times of the answer: [00:40], [00:50]."
    assert unsupported_notice(citations[:2]) == "No chunk's answer supports this time of the answer: [00:40]."
    assert unsupported_notice(citations[:1]) is None


def test_many_are_counted() -> None:
    citations = [Citation(f"[{clock(seconds)}]", seconds, 0, 7, None) for seconds in range(MAX_LISTED + 5)]
    notice = unsupported_notice(citations)
    assert notice is not None and notice.endswith(f"[{clock(MAX_LISTED - 1)}] and 5 more.")
