"""Times in answers, and which of them hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.answers.citations import MOST_NAMED, cited, times_in, unsupported_notice
from pipeline.answers.prompting import clock
from pipeline.types import ChunkAnswer, ChunkFailure, ChunkText, Citation, DecodeReport, Generation, TokenUsage

STEP = 1.0


def chunk(index: int, text: str | None, start: float, stop: float) -> ChunkAnswer:
    report = DecodeReport(20, (), "planned", None, 1.0)
    said = None if text is None else ChunkText(Generation(text, "stop", TokenUsage(10, 5), 1.0), report)
    failure = ChunkFailure("replica_lost", "gone") if text is None else None
    return ChunkAnswer(index, start, stop, 2.0, 1, said, failure)


def supported_by(answer: str, *chunks: ChunkAnswer) -> list[int | None]:
    return [citation.chunk_index for citation in cited(answer, chunks, step_seconds=STEP)]


@pytest.mark.parametrize(
    ("text", "times"),
    [
        ("0.2 white star. 6.3 magenta circle.", [("0.2", 0.2), ("6.3", 6.3)]),
        ("A cat [01:05] jumps, at 1:07 it is gone.", [("[01:05]", 65), ("1:07", 67)]),
        ("[1:02:03] Rain. [75:30] Sun.", [("[1:02:03]", 3723), ("[75:30]", 4530)]),
        ("[00:12 - 00:15] A dog.", [("00:12", 12), ("00:15", 15)]),
        ("(0:05–0:09) **0:07**", [("0:05", 5), ("0:09", 9), ("0:07", 7)]),
        ("<12.4 seconds> A dog. [13.0] A cat.", [("12.4", 12.4), ("[13.0]", 13)]),
        ("00:12.4 A dog.", [("00:12.4", 12.4)]),
        ("From 3.0 to 5.0 seconds it rains.", [("3.0", 3), ("5.0", 5)]),
        ("3.0 - 5.0 s: a cat", [("3.0", 3), ("5.0", 5)]),
        ("- 12.4 red circle\n- 13.0 blue star\n1. 14.0 green", [("12.4", 12.4), ("13.0", 13), ("14.0", 14)]),
        ('{"start": 12.4, "end_time": 13, "rating": 4.5}', [("12.4", 12.4), ("13", 13)]),
        ("At 12 seconds, a dog.", [("12", 12)]),
    ],
)
def test_what_is_a_time(text: str, times: list[tuple[str, float]]) -> None:
    assert [(time.text, time.seconds) for time in times_in(text)] == times


@pytest.mark.parametrize(
    "text",
    [
        "It lasts for 12 seconds.",
        "It takes 3 to 5 seconds.",
        "The clock shows 10:30 pm; the score is 3:2.",
        "00:65 is none, nor 1:75:00.",
        "Version 3.11 came.",
        "1.5 hours later. 50.5 % of 3.5 million. 2.5 km on.",
        "Two cats, 3 dogs, 4.5 stars.",
    ],
)
def test_what_is_no_time(text: str) -> None:
    assert list(times_in(text)) == []


@given(st.integers(0, 24 * 3600))
def test_a_clock_is_read_as_it_is_written(seconds: int) -> None:
    (time,) = times_in(f"A cat [{clock(seconds)}] sits.")
    assert (time.text, time.seconds, time.is_whole) == (f"[{clock(seconds)}]", seconds, True)


@given(st.text(alphabet="0123456789:.[]<>-–s \nat", max_size=80))
def test_any_text_is_read(text: str) -> None:
    assert all(time.text in text and time.seconds >= 0 for time in times_in(text))


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


def test_no_answer_has_no_citations() -> None:
    assert cited(None, [chunk(0, "0.2 red star.", 0, 30)], step_seconds=STEP) == ()


def test_what_does_not_hold_is_named_once() -> None:
    citations = [Citation("[00:10]", 10, 0), *[Citation("[00:40]", 40, None)] * 2, Citation("[00:50]", 50, None)]
    assert unsupported_notice(citations) == "No chunk's answer supports these times of the answer: [00:40], [00:50]."
    assert unsupported_notice(citations[:2]) == "No chunk's answer supports this time of the answer: [00:40]."
    assert unsupported_notice(citations[:1]) is None


def test_many_are_counted() -> None:
    citations = [Citation(f"[{clock(seconds)}]", seconds, None) for seconds in range(MOST_NAMED + 5)]
    notice = unsupported_notice(citations)
    assert notice is not None and notice.endswith(f"[{clock(MOST_NAMED - 1)}] and 5 more.")
