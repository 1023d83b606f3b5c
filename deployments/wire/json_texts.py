"""JSON from clients: checked before a parser builds anything, and parsed so that every reader sees the same values."""

import json
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipeline.errors import InvalidRequest

MAX_JSON_DEPTH = 256
"""Limit on the nesting of any JSON text. Parsers recurse, and fail at about three times this depth."""
MAX_JSON_VALUES = 65_536
"""Limit on the values of any JSON text: each takes up to 100 bytes of memory, where its text takes two."""
MAX_INTEGER_DIGITS = 20
"""Limit on the digits of an integer; those of 2**64 - 1."""
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?|[\[{]|[\]}]|,', re.DOTALL)
_OPENING, _CLOSING = frozenset("[{"), frozenset("]}")


def parse_json(text: bytes | bytearray | str, what: str) -> Any:
    """Parse the JSON `text`. `what` names it in messages, like "The body".

    Raises InvalidRequest for anything but RFC 8259's JSON, for names given twice in one object, for numbers
    that no double holds, and beyond the limits above.
    """
    if not isinstance(text, str):
        text = decode_json(text, what)
    _check_extent(text, what)
    numbers = _Numbers()
    decoder = json.JSONDecoder(
        parse_int=numbers.integer,
        parse_float=numbers.real,
        parse_constant=numbers.constant,
        object_pairs_hook=_object,
    )
    try:
        value = decoder.decode(text)
    except _Refused as refusal:
        raise InvalidRequest(f"{what} {refusal}.", param=refusal.name) from None
    except ValueError as error:
        raise InvalidRequest(f"{what} is not JSON ({error}).") from None
    except RecursionError:
        raise InvalidRequest(f"{what} is nested too deeply; its fields are plain values and short lists.") from None
    if numbers.refusals:
        raise InvalidRequest(f"{what} {numbers.refusals[0]}.", param=_path_of_nan(value))
    return value


def decode_json(text: bytes | bytearray, what: str) -> str:
    """Decode as `json.loads` does, UTF-16 and surrogates included: `request_texts` names the field that holds those.

    Raises InvalidRequest.
    """
    try:
        return text.decode(json.detect_encoding(text), "surrogatepass")
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"{what} is not JSON: it is not UTF-8 from byte {error.start} on. Encode it as UTF-8."
        ) from None


@dataclass(frozen=True)
class Extent:
    """How much a parsed JSON value holds."""

    depth: int
    """Levels of objects and lists; 0 for a plain value."""
    num_values: int
    """All values at any level, with the outermost."""


def extent_of(value: Any) -> Extent:
    """Measure a parsed JSON value of any depth, without recursion."""
    depth, num_values, level = 0, 0, [value]
    while level:
        num_values += len(level)
        members = [member for container in level if _is_container(container) for member in _members(container)]
        depth += any(_is_container(container) for container in level)
        level = members
    return Extent(depth, num_values)


def _is_container(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, Sequence) and not isinstance(value, str | bytes))


def _members(container: Any) -> Any:
    return container.values() if isinstance(container, Mapping) else container


def _check_extent(text: str, what: str) -> None:
    """Raise InvalidRequest for a text with too many levels or values, whether or not it is JSON."""
    depth = num_values = num_strings = 0
    for token in _TOKEN.finditer(text):
        first = text[token.start()]
        if first in _OPENING:
            depth += 1
            num_values += 1
            if depth > MAX_JSON_DEPTH:
                raise InvalidRequest(
                    f"{what} is nested more than {MAX_JSON_DEPTH} levels deep, the most allowed; "
                    f"its objects and lists go at least {depth} deep. Nest it less."
                )
        elif first in _CLOSING:
            depth -= 1
        elif first == ",":
            num_values += 1
        else:
            num_strings += 1
        if num_values > MAX_JSON_VALUES or num_strings > 2 * MAX_JSON_VALUES:  # a value has one name at most
            raise InvalidRequest(
                f"{what} holds more than {MAX_JSON_VALUES} values, the most allowed. Send fewer fields and list items."
            )


class _Refused(Exception):
    """JSON that readers interpret differently. The text continues a sentence that starts with what was parsed."""

    def __init__(self, text: str, name: str) -> None:
        super().__init__(text)
        self.name = name


@dataclass(frozen=True)
class _Numbers:
    """Reads numbers. A refused number becomes NaN, so that its field can be found."""

    refusals: list[str] = field(default_factory=list)

    def integer(self, digits: str) -> int | float:
        num_digits = len(digits.removeprefix("-"))
        if num_digits <= MAX_INTEGER_DIGITS:
            return int(digits)
        return self._refused(f"contains an integer of {num_digits} digits; at most {MAX_INTEGER_DIGITS} are allowed")

    def real(self, digits: str) -> float:
        number = float(digits)
        if math.isfinite(number):
            return number
        return self._refused(f"contains the number {digits[:40]}, which is beyond a double's range")

    def constant(self, name: str) -> float:
        return self._refused(f"is not JSON: it contains {name}. Send a number, or null")

    def _refused(self, refusal: str) -> float:
        self.refusals.append(refusal)
        return math.nan


def _path_of_nan(value: Any) -> str | None:
    """The path of the first NaN, like `input.video_start`."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, float) and math.isnan(value):
            return path.removeprefix(".") or None
        if _is_container(value):
            members = list(value.items() if isinstance(value, dict) else enumerate(value))
            waiting += [(f"{path}.{name}", member) for name, member in reversed(members)]
    return None


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(members)
    if len(fields) < len(members):
        [(twice, _)] = Counter(name for name, _ in members).most_common(1)
        raise _Refused(f"gives {twice[:80]!a} twice in one object; give each name once", twice[:80])
    return fields
