"""Cut an answer into pieces by its times, and say which part of the video each piece describes."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pipeline.types import ChunkAnswer, Citation, TimedResult

MIN_SECONDS = 0.5
"""Shortest span of a piece, such as one whose range ends where it starts."""

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=\S)|\n+")
_RANGE = re.compile(r"\]?\s*(?:s|sec|seconds)?\s*(?:-|–|to)\s*\[?")
_PREPOSITION = re.compile(
    r"\b(?:at|from|to|until|till|by|around|near|since|between|and|after|before)\s[\[<(]?$", re.IGNORECASE
)
_CLOSING = re.compile(r"(?:\s?(?:seconds?|secs?|s)\b)?[\]>)*]*")
_LIST_MARKER = re.compile(r"^\s*(?:[-*•]\s+|\d+[.)]\s+)")
_LOOK_BACK = 16
"""Characters before a time in which a preposition may stand."""


def timed_results(
    answer: str | None, citations: Sequence[Citation], chunk_answers: Sequence[ChunkAnswer], *, duration_seconds: float
) -> tuple[TimedResult, ...]:
    """Return the answer's pieces in order of time, each lasting until the next one's time or the video's end.

    If the answer gives no time, return one result per answered chunk.
    """
    pieces = sorted(_pieces(answer or "", citations), key=lambda piece: piece.citation.seconds)
    if not pieces:
        return _by_chunks(chunk_answers)
    starts = sorted({piece.citation.seconds for piece in pieces})
    results = []
    for piece in pieces:
        start = piece.citation.seconds
        following = starts[bisect_right(starts, start) :]
        next_start = following[0] if following else duration_seconds
        stop = next_start if piece.stop_seconds is None else piece.stop_seconds
        results.append(
            TimedResult(start, max(stop, start + MIN_SECONDS), piece.text, piece.citation.chunk_index, piece.place)
        )
    return tuple(results)


def _by_chunks(chunk_answers: Sequence[ChunkAnswer]) -> tuple[TimedResult, ...]:
    texts = [(chunk, " ".join(chunk.text.generation.text.split())) for chunk in chunk_answers if chunk.text]
    return tuple(
        TimedResult(chunk.start_seconds, chunk.stop_seconds, text, chunk.chunk_index, place=None)
        for chunk, text in texts
        if text
    )


@dataclass(frozen=True)
class _Piece:
    """A part of the answer that describes one moment."""

    citation: Citation
    """The time that opens it."""
    stop_seconds: float | None
    """The end of the range that the answer gives; `None` if it gives a single time."""
    text: str
    place: tuple[int, int]


def _pieces(answer: str, citations: Sequence[Citation]) -> Iterator[_Piece]:
    """Yield the pieces that say something: usually a sentence, and those after it that give no time of their own."""
    for opening, (start, stop) in _places(answer, citations):
        inside = [citation for citation in citations if start <= citation.start < stop]
        stop_seconds = None
        if len(inside) > 1 and _RANGE.fullmatch(answer[inside[0].stop : inside[1].start]):
            stop_seconds = inside[1].seconds
        text = _without_times(answer[start:stop], inside, start)
        if text:
            yield _Piece(opening, stop_seconds, text, (start, stop))


def _places(answer: str, citations: Sequence[Citation]) -> list[tuple[Citation, tuple[int, int]]]:
    """Return each citation that opens a piece, with the piece's place; together the pieces cover the answer.

    A piece starts with its sentence, or with the citation if the sentence gives another time before it. A citation
    that ends a range, or that a preposition makes a word of the sentence, opens no further piece.
    """
    sentences = [0, *(match.end() for match in _SENTENCE_END.finditer(answer))]
    openings: list[tuple[Citation, int]] = []
    before: Citation | None = None
    for citation in citations:
        sentence = sentences[bisect_right(sentences, citation.start) - 1]
        is_first = before is None or before.start < sentence
        ends_range = before is not None and _RANGE.fullmatch(answer[before.stop : citation.start])
        if not ends_range and (is_first or not _is_word(answer, citation.start)):
            openings.append((citation, 0 if not openings else sentence if is_first else citation.start))
        before = citation
    stops = [*(start for _, start in openings[1:]), len(answer)]
    return [(citation, (start, stop)) for (citation, start), stop in zip(openings, stops, strict=False)]


def _without_times(piece: str, citations: Sequence[Citation], offset: int) -> str:
    """Strip the times that mark a piece; those that are words of a sentence (`at 12 s`) stay."""
    for time_start, stop in reversed(list(_marks(piece, citations, offset))):
        start = len(piece[:time_start].rstrip("[<(*"))
        closing = _CLOSING.match(piece, stop)
        assert closing is not None, "the pattern matches the empty text, too"
        is_first = not _LIST_MARKER.sub("", piece[:start]).strip()
        if is_first or piece[start] in "[<(*":
            left, right = piece[:start], piece[closing.end() :]
            right = right.lstrip(" -–:;,.") if is_first else right
            piece = (left.rstrip() if right[:1] in (".", ",", ";", ":", "!", "?") else left) + right
    return _LIST_MARKER.sub("", " ".join(piece.split())).strip()


def _marks(piece: str, citations: Sequence[Citation], offset: int) -> Iterator[tuple[int, int]]:
    """Yield the places of times, and of ranges, that are not words of a sentence."""
    last: tuple[int, int] | None = None
    for citation in citations:
        start, stop = citation.start - offset, citation.stop - offset
        if last and _RANGE.fullmatch(piece[last[1] : start]):
            last = last[0], stop
            continue
        if last:
            yield last
        last = None if _is_word(piece, start) else (start, stop)
    if last:
        yield last


def _is_word(text: str, start: int) -> bool:
    return bool(_PREPOSITION.search(text[max(0, start - _LOOK_BACK) : start]))
