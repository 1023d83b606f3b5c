"""Cut an answer into pieces, each with its part of the video."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.answers.citations import check_citations
from pipeline.answers.timed_results import MIN_SECONDS, timed_results
from pipeline.types import ChunkAnswer, ChunkFailure, ChunkText, DecodeReport, Generation, TimedResult, TokenUsage
from tests.timed_answers import TIMED_ANSWERS

DURATION_SECONDS = 118.0


def chunk(index: int, text: str | None, start: float, stop: float) -> ChunkAnswer:
    said = text and ChunkText(
        Generation(text, "stop", TokenUsage(10, 5), 1.0), DecodeReport(20, (), "planned", None, 1.0)
    )
    failure = None if said else ChunkFailure("replica_lost", "gone")
    return ChunkAnswer(index, start, stop, 2.0, 1, said or None, failure)


CHUNKS = (chunk(0, "A cat\nsits.", 0.0, 60.0), chunk(1, None, 58.0, 118.0), chunk(2, " ", 116.0, 118.0))


def results_of(answer: str | None) -> tuple[TimedResult, ...]:
    citations = check_citations(answer, CHUNKS, step_seconds=1.0)
    return timed_results(answer, citations, CHUNKS, duration_seconds=DURATION_SECONDS)


def timed(answer: str | None) -> list[tuple[float, float, str]]:
    return [(result.start_seconds, result.stop_seconds, result.text) for result in results_of(answer)]


@pytest.mark.parametrize(("text", "results"), TIMED_ANSWERS)
def test_an_answer_by_its_times(text: str, results: list[tuple[float, float, str]]) -> None:
    assert timed(text) == results


def test_a_range_without_a_length_lasts_a_moment() -> None:
    assert timed("[00:05 - 00:05] A cat.") == [(5, 5 + MIN_SECONDS, "A cat.")]


def test_what_no_chunk_supports_names_none() -> None:
    first, second = results_of("0.2 white star. 66.3 circle.")
    assert (first.chunk_index, first.is_supported) == (0, True)
    assert (second.chunk_index, second.is_supported) == (None, False)


def test_a_piece_says_where_it_stands() -> None:
    answer = "🎬: [00:09] Later. [00:05] Before."
    assert [answer[slice(*result.place)] for result in results_of(answer) if result.place] == [
        "[00:05] Before.",
        "🎬: [00:09] Later. ",
    ]
    assert [result.place for result in results_of("A cat sits all day.")] == [None]


def test_what_has_no_times_is_timed_by_its_chunks() -> None:
    for text in ("A cat sits all day.", None):
        assert timed(text) == [(0.0, 60.0, "A cat sits.")]


TEXTS = st.lists(
    st.sampled_from(
        ["[00:05]", "0:09", "1:00", " 7.5 s", "at ", "from ", " to ", " - ", "A cat", "\n- ", ". ", "🎬", "*"]
    )
).map("".join) | st.text(alphabet="0123456789:.[]<>()*-–s \nat", max_size=80)


@given(TEXTS)
def test_pieces_of_any_text(text: str) -> None:
    results = results_of(text)
    assert [result.start_seconds for result in results] == sorted(result.start_seconds for result in results)
    for result in results:
        assert result.stop_seconds >= result.start_seconds + MIN_SECONDS
        assert result.text == " ".join(result.text.split()) != ""


@given(TEXTS)
def test_pieces_do_not_overlap_and_hold_the_time_that_opens_them(text: str) -> None:
    citations = check_citations(text, CHUNKS, step_seconds=1.0)
    placed = [result for result in results_of(text) if result.place]
    places = sorted(result.place for result in placed if result.place)
    assert all(before[1] <= after[0] for before, after in pairwise(places))
    for result in placed:
        assert result.place is not None
        start, stop = result.place
        opening = next(citation for citation in citations if start <= citation.start)
        assert (opening.seconds, opening.chunk_index) == (result.start_seconds, result.chunk_index)
        assert opening.stop <= stop
