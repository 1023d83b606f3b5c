"""The times that an answer gives, each held against what the chunk answers said.

A time is supported where

- a chunk answer gives a time no further from it than one sampling step, the time between two pairs of frames, and that
  chunk saw that time: a model that tells of what it was not shown is no witness; or
- a chunk answer gives no time at all, and its chunk covers this one.

Where one of two times is written in whole seconds, a second more is allowed between them, for it may have been rounded
or cut off. Only times are checked: whether the chunk said the same of that moment is not. What the model wrote stays as
it is; what nothing supports is named beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.types import ChunkAnswer, Citation

WHOLE_SECOND = 1.0
_TENTH = 0.1
"""Times are told to the model, and written by it, to a tenth of a second."""
_ROUNDING = 1e-6
MOST_NAMED = 10
"""Unsupported times that a notice names; the list of citations has them all."""

_UNIT = r"(?:s|secs?|seconds?)\b"
_JOINT = r"\s?(?:-|–|to|and)\s?"
_TIME = re.compile(
    rf"""
    (?<![\w.:,])
    (?:
        (?: (?P<hours>\d{{1,3}}) : )? (?P<minutes>\d{{1,3}}) : (?P<seconds>[0-5]\d) (?P<fraction>\.\d{{1,3}})?
        (?! \s? [ap]\.?m\b )                                                       # the time of day
      |
        (?P<number>\d+(?:\.\d+)?) (?P<unit> \s?{_UNIT} | (?= {_JOINT} \d+(?:\.\d+)? \s?{_UNIT} ) )?
    )
    (?! \d | [:.]\d )
    """,
    re.VERBOSE | re.IGNORECASE,
)
_OPENING = r"(?: ^ | [\n.!?;] \s | (?: ^ | \n ) \s* (?: [-*•] | \d+[.)] ) ) \s*"
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
    """A time that a text gives."""

    text: str
    """As it stands there, with brackets around it."""
    seconds: float
    is_whole: bool
    """Whether it is written in whole seconds."""


def times_in(text: str) -> Iterator[FoundTime]:
    """In the order of the text: `[01:05]`, `1:05`, `1:02:03`, `<12.4 seconds>`, `at 12 s`, `[12.4]`, and a decimal
    number that opens a sentence, as the embedded model writes them: `12.4 red circle.`

    A number with a unit that names no moment (`for 12 seconds`) is a length, and is passed over; so are numbers in
    JSON but under keys such as `start` or `time_seconds`.
    """
    for match in _TIME.finditer(text):
        number = match["number"]
        if number is None:
            minutes = int(match["minutes"])
            if match["hours"] is not None and minutes > 59:
                continue
            seconds = int(match["hours"] or 0) * 3600 + minutes * 60 + int(match["seconds"])
            fraction = match["fraction"]
            yield FoundTime(_in_brackets(text, match), seconds + float(fraction or 0), fraction is None)
        elif _is_moment(text, match):
            yield FoundTime(_in_brackets(text, match, until=match.end("number")), float(number), "." not in number)


def cited(answer: str | None, chunk_answers: Sequence[ChunkAnswer], *, step_seconds: float) -> tuple[Citation, ...]:
    """Every time in `answer`, in its order, checked against the chunk answers. `step_seconds` lie between two pairs of
    frames.
    """
    if answer is None:
        return ()
    witnesses = [_Witness.of(chunk) for chunk in chunk_answers if chunk.text]
    return tuple(_citation(time, witnesses, step_seconds) for time in times_in(answer))


def unsupported_notice(citations: Sequence[Citation]) -> str | None:
    """Names what no chunk answer supports; None where all is supported."""
    texts = list(dict.fromkeys(citation.text for citation in citations if not citation.is_supported))
    if not texts:
        return None
    named = ", ".join(texts[:MOST_NAMED]) + (f" and {len(texts) - MOST_NAMED} more" if texts[MOST_NAMED:] else "")
    return f"No chunk's answer supports {'this time' if len(texts) == 1 else 'these times'} of the answer: {named}."


@dataclass(frozen=True)
class _Witness:
    """A chunk's answer, and the times it gives of what it was shown."""

    chunk: ChunkAnswer
    times: tuple[FoundTime, ...]
    gives_times: bool

    @classmethod
    def of(cls, chunk: ChunkAnswer) -> _Witness:
        assert chunk.text is not None
        found = tuple(times_in(chunk.text.generation.text))
        return cls(chunk, tuple(time for time in found if _saw(chunk, time)), bool(found))

    def distance(self, time: FoundTime, step_seconds: float) -> float | None:
        """From `time` to the nearest one that supports it; None where none does."""
        if not self.gives_times:
            # Less near than any time that is given.
            return step_seconds + 2 * WHOLE_SECOND if _saw(self.chunk, time) else None
        near = (
            abs(own.seconds - time.seconds)
            for own in self.times
            if abs(own.seconds - time.seconds)
            <= step_seconds + (WHOLE_SECOND if own.is_whole or time.is_whole else 0.0) + _ROUNDING
        )
        return min(near, default=None)


def _citation(time: FoundTime, witnesses: Sequence[_Witness], step_seconds: float) -> Citation:
    distances = ((witness.distance(time, step_seconds), witness.chunk.chunk_index) for witness in witnesses)
    supporting = [(distance, index) for distance, index in distances if distance is not None]
    return Citation(time.text, time.seconds, min(supporting)[1] if supporting else None)


def _saw(chunk: ChunkAnswer, time: FoundTime) -> bool:
    slack_seconds = WHOLE_SECOND if time.is_whole else _TENTH
    return chunk.start_seconds - slack_seconds <= time.seconds <= chunk.stop_seconds + slack_seconds


def _is_moment(text: str, match: re.Match[str]) -> bool:
    """Of a number without a colon."""
    before = text[max(0, match.start() - _LOOK_BACK) : match.start()]
    if match["unit"] is not None:
        return bool(_NAMES_MOMENT.search(before))
    if _JSON_KEY.search(before):
        return True
    if "." not in match["number"] or _OTHER_UNIT.match(text, match.end()):
        return False
    is_alone = before[-1:] in ("[", "<") and text[match.end() : match.end() + 1] in ("]", ">")
    return is_alone or bool(_OPENS_SENTENCE.search(before))


def _in_brackets(text: str, match: re.Match[str], until: int | None = None) -> str:
    start, end = match.start(), match.end() if until is None else until
    if text[start - 1 : start] == "[" and text[end : end + 1] == "]":
        return text[start - 1 : end + 1]
    return text[start:end]
