"""Answers by their times, and in other forms."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest

from longtake import Answer, Plan
from longtake.clock import clock, subtitle_clock
from longtake.parsing import parsed
from longtake.rendering import UNSUPPORTED
from pipeline.answers.citations import times_in
from tests.deployments.api.result_bodies import ANALYSIS, CHUNK_RESULT


def answer_of(text: str | None, unsupported: tuple[str, ...] = (), **fields: Any) -> Answer:
    """As the server gives it, with the citations that it finds in `text`."""
    citations = [
        {
            "text": time.text,
            "time": time.seconds,
            "supported": time.text not in unsupported,
            "chunk_index": None if time.text in unsupported else 0,
        }
        for time in times_in(text or "")
    ]
    notice = {"notice": None}
    return parsed(Answer, ANALYSIS | notice | {"aggregated_response": text, "citations": citations} | fields)


def timed(answer: Answer) -> list[tuple[float, float, str]]:
    return [(result.start_time, result.end_time, result.text) for result in answer.timed_results]


@pytest.mark.parametrize(
    ("seconds", "text", "subtitle"),
    [
        (0, "00:00", "00:00:00,000"),
        (59.9996, "00:59", "00:01:00,000"),
        (61.25, "01:01", "00:01:01,250"),
        (3661, "1:01:01", "01:01:01,000"),
    ],
)
def test_clock(seconds: float, text: str, subtitle: str) -> None:
    assert (clock(seconds), subtitle_clock(seconds, ",")) == (text, subtitle)


@pytest.mark.parametrize(
    ("text", "results"),
    [
        (
            "0.2 white star. 6.3 magenta circle. 12.4 red star.",
            [(0.2, 6.3, "white star."), (6.3, 12.4, "magenta circle."), (12.4, 118.0, "red star.")],
        ),
        (
            "Here is what happens: [00:05] A cat sits. It sleeps. [01:00] It leaves.",
            [(5, 60, "Here is what happens: A cat sits. It sleeps."), (60, 118, "It leaves.")],
        ),
        (
            "A cat sits [00:05]. It leaves [01:00].",
            [(5, 60, "A cat sits."), (60, 118, "It leaves.")],
        ),
        (
            "- [00:05 - 00:10] A cat sits.\n- [01:00]: It leaves.",
            [(5, 10, "A cat sits."), (60, 118, "It leaves.")],
        ),
        ("**[00:05]** A cat.\n**[00:05]** A dog.", [(5, 118, "A cat."), (5, 118, "A dog.")]),
        (
            "At [00:05] a cat sits, and at [00:09] it leaves.",
            [(5, 118, "At [00:05] a cat sits, and at [00:09] it leaves.")],
        ),
        ("[00:05] A cat sits, [00:09] it leaves.", [(5, 9, "A cat sits,"), (9, 118, "it leaves.")]),
        ("A cat [00:05 - 00:10] sits.", [(5, 10, "A cat sits.")]),
        ("From [00:05] to [00:10] a cat sits.", [(5, 10, "From [00:05] to [00:10] a cat sits.")]),
        ("[00:09] Later. [00:05] Before.", [(5, 9, "Before."), (9, 118, "Later.")]),
        ("<3.0 seconds> A cat. At 7.5 s, a dog.", [(3.0, 7.5, "A cat."), (7.5, 118.0, "At 7.5 s, a dog.")]),
    ],
)
def test_an_answer_by_its_times(text: str, results: list[tuple[float, float, str]]) -> None:
    assert timed(answer_of(text)) == results


def test_what_has_no_times_is_timed_by_its_chunks() -> None:
    for text in ("A cat sits all day.", None):
        assert timed(answer_of(text)) == [(0.0, 60.0, "A cat sits.")]


def test_srt() -> None:
    answer = answer_of("0.2 white star. 6.3 a --> b.", unsupported=("6.3",))
    assert answer.to_srt() == (
        "1\n00:00:00,200 --> 00:00:06,300\nwhite star.\n\n"
        f"2\n00:00:06,300 --> 00:01:58,000\na → b. ({UNSUPPORTED} no chunk's answer supports this time)\n"
    )


def test_vtt() -> None:
    answer = answer_of("0.2 a <b> & c.")
    assert answer.to_vtt() == "WEBVTT\n\n00:00:00.200 --> 00:01:58.000\na &lt;b&gt; &amp; c.\n"


def test_csv() -> None:
    answer = answer_of('0.2 "white", star. 6.3 circle.', unsupported=("6.3",))
    rows = list(csv.DictReader(io.StringIO(answer.to_csv())))
    assert rows == [
        {"start": "0.200", "end": "6.300", "text": '"white", star.', "supported": "true", "chunk_index": "0"},
        {"start": "6.300", "end": "118.000", "text": "circle.", "supported": "false", "chunk_index": ""},
    ]


def test_markdown_lists_what_is_told_time_by_time() -> None:
    markdown = answer_of("0.2 white star. 66.3 circle.", unsupported=("66.3",)).to_markdown("cat.mp4")
    assert markdown.startswith(
        f"### cat.mp4\n\n- **[00:00]** white star.\n- **[01:06]** {UNSUPPORTED} circle.\n\n{UNSUPPORTED} No chunk's"
    )
    assert "**Not answered:** 00:58 – 01:58: No frame could be decoded." in markdown
    assert "> A notice." in markdown


def test_markdown_leaves_prose_as_it_is() -> None:
    markdown = answer_of("A cat sits [00:05] and leaves at 1:00.").to_markdown()
    assert "\n\nA cat sits **[00:05]** and leaves at **[01:00]**.\n\n" in markdown
    assert "A cat sits all day.\n" in answer_of("A cat sits all day.").to_markdown()


def test_without_a_merge_the_chunks_stand_for_themselves() -> None:
    answer = answer_of(None, aggregation_error="No room.")
    assert answer.text == "[00:00 - 01:00]\nA cat sits."
    assert "**The answers were not merged:** No room." in answer.to_markdown()


def test_a_plan_in_a_notebook() -> None:
    chunk = {"chunk_index": 0, "start_time": 0, "end_time": 60, "num_frames": 120, "width": 96, "height": 64}
    plan = {"video_info": ANALYSIS["video_info"], "num_chunks": 1, "chunk_duration": 60, "chunks": [chunk]}
    assert "| 00:00 – 01:00 | 120 of 96x64 |" in parsed(Plan, plan)._repr_markdown_()


def test_of_a_newer_server_what_is_unknown_is_kept_raw() -> None:
    answer = answer_of("x", chunk_results=[CHUNK_RESULT | {"new": 1}], newer={"a": 1})
    assert answer.raw["newer"] == {"a": 1} and answer.raw["chunk_results"][0]["new"] == 1
