from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.unicode import UNSAFE, encodable, encodable_json, printable, unsafe_character
from tests.hostile_texts import ANY_JSON, ANY_TEXT


@given(ANY_TEXT)
def test_any_text_becomes_encodable(text: str) -> None:
    encodable(text).encode()
    printable(text).encode()
    assert not UNSAFE.search(printable(text))
    assert encodable(encodable(text)) == encodable(text)


@given(ANY_TEXT)
def test_the_first_unsafe_character_is_found(text: str) -> None:
    assert unsafe_character(text) == next(iter(UNSAFE.findall(text)), None)


@given(st.text())
def test_valid_text_stays(text: str) -> None:
    assert encodable(text) == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a\udcffb", "a\\udcffb"), ("\ud83d", "\\ud83d"), ("a\x00b", "a\\x00b"), ("🎬\u202e\ufffd é", "🎬\u202e\ufffd é")],
)
def test_what_is_printed(text: str, expected: str) -> None:
    assert printable(text) == expected


@given(ANY_JSON)
def test_any_json_becomes_encodable(value: object) -> None:
    json.dumps(encodable_json(value), ensure_ascii=False).encode()


@given(st.dictionaries(st.text(), st.lists(st.text() | st.integers())))
def test_valid_json_stays(value: object) -> None:
    assert encodable_json(value) == value
