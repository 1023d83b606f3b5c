"""Outcomes in every format."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from longtake import Answer, ServerError
from longtake.commands.output import SUFFIXES, Format, Outcome, format_of, rendered, write
from longtake.parsing import parsed
from tests.longtake.bodies import ANALYSIS

ANSWERED = Outcome("films/cat.mp4", "What happens?", answer=parsed(Answer, ANALYSIS))
FAILED = Outcome("films/dog.mp4", "And then?", error=ServerError("It is damaged.", type="decode_failed", param="video"))


@pytest.mark.parametrize(
    ("given", "output", "chosen"),
    [
        (None, None, Format.TEXT),
        (None, Path("a.SRT"), Format.SRT),
        (None, Path("a.unknown"), Format.TEXT),
        (Format.CSV, Path("a.srt"), Format.CSV),
    ],
)
def test_the_format_follows_the_suffix_unless_given(given: Format | None, output: Path | None, chosen: Format) -> None:
    assert format_of(given, output) is chosen


def test_every_format_has_a_suffix() -> None:
    assert set(SUFFIXES.values()) == set(Format)


def test_json_has_answers_and_errors() -> None:
    first, second = json.loads(rendered([ANSWERED, FAILED], Format.JSON))["analyses"]
    assert first == {"video": "films/cat.mp4", "prompt": "What happens?", "answer": ANALYSIS, "error": None}
    assert second["answer"] is None
    assert second["error"] == {"type": "decode_failed", "message": "It is damaged.", "param": "video"}


def test_markdown_has_a_heading_for_each_outcome() -> None:
    text = rendered([ANSWERED, FAILED], Format.MARKDOWN)
    assert text.startswith("## cat.mp4\n\n### What happens?\n\n")
    assert text.endswith("## dog.mp4\n\n### And then?\n\n**Failed:** It is damaged.\n")


def test_text_is_the_answers_alone() -> None:
    assert rendered([ANSWERED, FAILED, ANSWERED], Format.TEXT) == "A cat sits all day.\n" * 2


def test_formats_of_one_answer_without_one_are_empty() -> None:
    assert rendered([FAILED], Format.SRT) == rendered([FAILED], Format.VTT) == ""


def test_a_folder_gets_one_file_per_outcome(tmp_path: Path) -> None:
    files = write([ANSWERED, ANSWERED, FAILED], Format.TEXT, tmp_path)
    assert [file.name for file in files] == ["cat.txt", "cat-2.txt", "dog.txt"]
    assert [file.read_text() for file in files] == ["A cat sits all day.\n", "A cat sits all day.\n", ""]
