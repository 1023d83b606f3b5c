"""Recognise times in texts, and their places."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.answers.prompting import clock
from pipeline.answers.times import times_in


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
        ("10 s dog runs\n12 s cat\n\n 13.5 bird", [("10", 10), ("12", 12), ("13.5", 13.5)]),
        ("Scenes:\n6.3 circle", [("6.3", 6.3)]),
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


@given(st.text(alphabet="0123456789:.[]<>-–s \nat🎬", max_size=80))
def test_a_time_says_where_it_stands(text: str) -> None:
    times = list(times_in(text))
    assert all(text[time.start : time.stop] == time.text for time in times)
    assert all(before.stop <= after.start for before, after in pairwise(times))
