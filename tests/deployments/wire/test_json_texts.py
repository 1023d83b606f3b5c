"""JSON from clients: what is taken, what is refused, and how soon."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from deployments.wire.json_texts import MAX_INTEGER_DIGITS, MAX_JSON_DEPTH, MAX_JSON_VALUES, extent_of, parse_json
from pipeline.errors import InvalidRequest
from tests.deployments.api.native_requests import ROUTE
from tests.deployments.api.wire import error_of

plain = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(plain | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(values, st.booleans())
def test_any_json_arrives_as_it_was_sent(value: Any, is_ascii: bool) -> None:
    text = json.dumps(value, ensure_ascii=is_ascii)
    assert parse_json(text, "It") == parse_json(text.encode(), "It") == value


def nested(opening: str, inner: str, closing: str, depth: int) -> bytes:
    return (opening * depth + inner + closing * depth).encode()


REFUSED = {
    "lists 257 deep": (nested("[", "1", "]", MAX_JSON_DEPTH + 1), "nested more than 256 levels deep"),
    "lists 5000 deep": (nested("[", "1", "]", 5000), "nested more than 256 levels deep"),
    "objects 5000 deep": (nested('{"a":', "1", "}", 5000), "nested more than 256 levels deep"),
    "both 100000 deep": (nested('[{"a": ', "1", "}]", 100_000), "nested more than 256 levels deep"),
    "open lists": (b"[" * 1_000_000, "nested more than 256 levels deep"),
    "many values": (b"[" + b"1," * MAX_JSON_VALUES + b"1]", "holds more than 65536 values"),
    "many empty objects": (b"[" + b"{}," * MAX_JSON_VALUES + b"1]", "holds more than 65536 values"),
    "many names": (b"{" + b'"a":1,' * MAX_JSON_VALUES + b'"b":1}', "holds more than 65536 values"),
    "an integer of 5000 digits": (b"1" * 5000, "integer of 5000 digits; at most 20"),
    "a negative integer of 5000 digits": (b"-" + b"1" * 5000, "integer of 5000 digits; at most 20"),
    "an integer of 21 digits": (b"1" * (MAX_INTEGER_DIGITS + 1), "integer of 21 digits; at most 20"),
    "an integer of 21 digits within": (b'{"a": [1%s]}' % (b"0" * 20), "integer of 21 digits; at most 20"),
    "a number beyond a double": (b'{"a": 1e999}', "beyond a double's range"),
    "a negative number beyond a double": (b"[-1e400]", "beyond a double's range"),
    "NaN": (b'{"a": NaN}', "contains NaN"),
    "Infinity": (b"[Infinity]", "contains Infinity"),
    "-Infinity": (b"-Infinity", "contains -Infinity"),
    "a name twice": (b'{"a": 1, "b": 2, "a": 1}', "gives 'a' twice"),
    "a name twice within": (b'{"a": [{"b": 1, "b": 1}]}', "gives 'b' twice"),
    "a name twice by escapes": (b'{"a": 1, "\\u0061": 1}', "gives 'a' twice"),
    "a lone byte": (b'{"a": "\xff"}', "is not UTF-8 from byte 7 on"),
    "an overlong byte": (b'"\xc0\xaf"', "is not UTF-8 from byte 1 on"),
    "a cut character": ('"ä'.encode()[:-1], "is not UTF-8 from byte 1 on"),
    "a control character": (b'"\x01"', "is not JSON"),
    "two values": (b"{} {}", "is not JSON"),
    "a comment": (b"{} // done", "is not JSON"),
    "single quotes": (b"{'a': 1}", "is not JSON"),
    "a trailing comma": (b"[1,]", "is not JSON"),
    "an open text": (b'{"a": "b', "is not JSON"),
    "a leading zero": (b"[01]", "is not JSON"),
}


@pytest.mark.parametrize(("body", "words"), REFUSED.values(), ids=REFUSED)
@pytest.mark.timeout(10)
def test_what_is_refused(body: bytes, words: str, client: TestClient) -> None:
    with pytest.raises(InvalidRequest, match=r"^It ") as caught:
        parse_json(body, "It")
    assert words in caught.value.message
    assert len(caught.value.message) < 300
    error = error_of(client.post(ROUTE, content=body), 400)
    assert error["type"] == "invalid_request"
    assert words in error["message"]


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "1" * 5000])
@pytest.mark.parametrize(
    ("text", "param"),
    [
        ('{"b": 1, "a": %s}', "a"),
        ('{"a": {"b": [1, %s]}}', "a.b.1"),
        ('[{"a": %s}]', "0.a"),
        ("%s", None),
        ('{"a": %s, "b": NaN}', "a"),
    ],
)
def test_the_field_of_a_refused_number_is_named(text: str, param: str | None, number: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        parse_json(text.replace("%s", number), "It")
    assert caught.value.param == param


ESCAPED = "[]{},:" * 40_000


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"\xef\xbb\xbf1", 1),
        (nested("[", "", "]", MAX_JSON_DEPTH), None),
        (b"[" + b"1," * (MAX_JSON_VALUES - 2) + b"1]", [1] * (MAX_JSON_VALUES - 1)),
        (json.dumps(ESCAPED), ESCAPED),
        (json.dumps('"\\' * 100_000), '"\\' * 100_000),
        (b"18446744073709551615", 2**64 - 1),
        (b"-18446744073709551615", -(2**64) + 1),
        (b"1e308", 1e308),
    ],
)
def test_what_is_at_the_limits_is_taken(text: bytes, value: Any) -> None:
    parsed = parse_json(text, "It")
    assert value is None or parsed == value


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": "' + b"A" * 20_000_000 + b'"}',
        b'{"a": "' + b'\\"' * 10_000_000 + b'"}',
        b'"' * 20_000_000,
        b"[" * 20_000_000,
        b"[" + b"[]," * 7_000_000,
        b"[" + b"1" * 20_000_000 + b"]",
        b"a" * 20_000_000,
    ],
    ids=["a text", "escapes", "quotes", "brackets", "lists", "an integer", "letters"],
)
def test_large_bodies_take_little_time(body: bytes) -> None:
    started = time.process_time()
    with suppress(InvalidRequest):
        parse_json(body, "It")
    assert time.process_time() - started < 2


@given(values)
def test_the_extent_of_a_value(value: Any) -> None:
    def depth(value: Any) -> int:
        if isinstance(value, dict):
            value = list(value.values())
        return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0

    assert extent_of(value).depth == depth(value)


def test_the_extent_of_a_value_of_any_depth() -> None:
    value: Any = 1
    for _ in range(10_000):
        value = [value]
    assert (extent_of(value).depth, extent_of(value).num_values) == (10_000, 10_001)
