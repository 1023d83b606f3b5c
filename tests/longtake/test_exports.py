"""Answers as subtitles, CSV and Markdown."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from longtake import Citation, TimedResult
from longtake.exports import UNSUPPORTED, cited_markdown, document, quoted, spans, srt, table, vtt
from tests.longtake.answers import answer_of


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


def test_a_piece_of_several_sentences_is_one_item_of_a_list() -> None:
    answer = answer_of("[00:05] A cat sits. It sleeps. [01:00] It leaves.")
    assert answer.cited_markdown() == "- **[00:05]** A cat sits. It sleeps.\n- **[01:00]** It leaves."


def test_a_range_is_one_item_of_a_list() -> None:
    answer = answer_of("00:05 - 00:10 A cat sits.\n[01:00]: It leaves.")
    assert answer.cited_markdown() == "- **[00:05]** - **[00:10]** A cat sits.\n- **[01:00]**: It leaves."


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("[00:05]\n[00:10]\n[00:20]", "- **[00:05]**\n- **[00:10]**\n- **[00:20]**"),
        ("[00:05] dog\n[00:10]\n[00:20] cat", "- **[00:05]** dog\n- **[00:10]**\n- **[00:20]** cat"),
        ("[00:05] dog. [00:10] cat. [00:20]", "- **[00:05]** dog.\n- **[00:10]** cat.\n- **[00:20]**"),
    ],
)
def test_an_item_may_have_no_words(text: str, markdown: str) -> None:
    assert answer_of(text).cited_markdown().replace(f" {UNSUPPORTED}", "") == markdown


def test_text_before_the_first_time_makes_no_list() -> None:
    answer = answer_of("🎬 This happens: [00:05] A cat sits. [01:00] It leaves.")
    assert answer.cited_markdown() == "🎬 This happens: **[00:05]** A cat sits. **[01:00]** It leaves."


def test_times_are_marked_where_the_server_says() -> None:
    """Not where their text is found: the first 5 is no time."""
    text = "5 cats at 5 s."
    citation = Citation("5", 5.0, True, 0, text.index("5 s"), text.index(" s."))
    assert cited_markdown(text, [citation], [TimedResult(5, 9, text, True, 0, 0, len(text))]) == (
        "5 cats at **[00:05]** s."
    )


def test_times_without_a_place_stay_as_they_are() -> None:
    assert cited_markdown("[00:05] A cat.", [Citation("[00:05]", 5.0, True, 0)], []) == "[00:05] A cat."


def test_parts_of_markdown() -> None:
    assert table("a", "b", [("c", "d")]) == "| a | b |\n| --- | --- |\n| c | d |"
    assert quoted(["One.", None, ""]) == ["> One."]
    assert spans([(0, 5), (60, 3661)]) == "00:00 – 00:05, 01:00 – 1:01:01"
    assert document(["a", "b"]) == "a\n\nb\n"


@given(st.lists(st.text(alphabet="ab->&<\n 🎬", max_size=20).map(lambda text: " ".join(text.split()))))
def test_no_text_breaks_subtitles(texts: list[str]) -> None:
    results = [TimedResult(index, index + 1, text, True, 0) for index, text in enumerate(texts)]
    for subtitles in (srt(results), vtt(results)):
        spans_of_time = [line for line in subtitles.split("\n") if "-->" in line]
        assert len(spans_of_time) == len(results)
