"""Recognise the times that a text gives. This module holds every rule of how times are written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_UNIT = r"(?:s|secs?|seconds?)\b"
_JOINT = r"\s?(?:-|–|to|and)\s?"
_TIME = re.compile(
    rf"""
    (?<![\w.:,])
    (?:
        (?: (?P<hours>\d{{1,3}}) : )? (?P<minutes>\d{{1,3}}) : (?P<seconds>[0-5]\d) (?P<fraction>\.\d{{1,3}})?
        (?! \s? [ap]\.?m\b )                                                       # the time of day
      |
        (?P<number>\d{{1,9}}(?:\.\d+)?) (?P<unit> \s?{_UNIT} | (?= {_JOINT} \d+(?:\.\d+)? \s?{_UNIT} ) )?
    )
    (?! \d | [:.]\d )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_OPENING = r"(?: ^ | \n | [.!?;] \s | (?: ^ | \n ) \s* (?: [-*•] | \d+[.)] ) ) \s*"
_OPENS_SENTENCE = re.compile(rf"{_OPENING} $", re.VERBOSE)
_NAMES_MOMENT = re.compile(
    rf"""
    (?: {_OPENING} | \b (?:at|from|until|till|between|around|near|by|since) \s | [<\[(] )
    (?: \d+(?:\.\d+)? (?:\s?{_UNIT})? {_JOINT} )? $
    """,
    re.VERBOSE | re.IGNORECASE,
)
_OTHER_UNIT = re.compile(r"\s?(?:%|(?:h|hours?|min|minutes?|[mck]?m|kg|[mb]illion|percent|times)\b)", re.IGNORECASE)
_JSON_KEY = re.compile(r'" (?:\w+_)? (?:time|timestamp|start|stop|end|at|seconds) (?:_\w+)? " \s* : \s* $', re.VERBOSE)
_LOOK_BACK = 64
"""Characters before a number that say whether it is a time."""


@dataclass(frozen=True)
class FoundTime:
    """A time that a text gives, at `[start, stop)` of that text, counted in Unicode code points."""

    text: str
    """As written, with the square brackets around it."""
    seconds: float
    is_whole: bool
    """Whether it is written in whole seconds."""
    start: int
    stop: int


def times_in(text: str) -> Iterator[FoundTime]:
    """Yield the times in a text, in order: `[01:05]`, `1:05`, `1:02:03`, `<12.4 seconds>`, `at 12 s`, `[12.4]`, and a
    decimal number that opens a sentence, as the embedded model writes them: `12.4 red circle.`

    A number with a unit that names no moment (`for 12 seconds`) is a length, and is skipped. In JSON only numbers under
    keys such as `start` or `time_seconds` are times.
    """
    for match in _TIME.finditer(text):
        number = match["number"]
        if number is None:
            minutes = int(match["minutes"])
            if match["hours"] is not None and minutes > 59:
                continue
            seconds = int(match["hours"] or 0) * 3600 + minutes * 60 + int(match["seconds"])
            fraction = match["fraction"]
            yield _found(text, match.start(), match.end(), seconds + float(fraction or 0), is_whole=fraction is None)
        elif _is_moment(text, match):
            yield _found(text, match.start(), match.end("number"), float(number), is_whole="." not in number)


def _is_moment(text: str, match: re.Match[str]) -> bool:
    """Whether a number without a colon names a moment."""
    before = text[max(0, match.start() - _LOOK_BACK) : match.start()]
    if match["unit"] is not None:
        return bool(_NAMES_MOMENT.search(before))
    if _JSON_KEY.search(before):
        return True
    if "." not in match["number"] or _OTHER_UNIT.match(text, match.end()):
        return False
    is_alone = before[-1:] in ("[", "<") and text[match.end() : match.end() + 1] in ("]", ">")
    return is_alone or bool(_OPENS_SENTENCE.search(before))


def _found(text: str, start: int, stop: int, seconds: float, *, is_whole: bool) -> FoundTime:
    if text[start - 1 : start] == "[" and text[stop : stop + 1] == "]":
        start, stop = start - 1, stop + 1
    return FoundTime(text[start:stop], seconds, is_whole, start, stop)
