"""An answer by its times: which piece of it tells of which moment."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from longtake.results import Answer, Citation

LEAST_SECONDS = 0.5
"""That a subtitle stands, where its time and the next are the same."""

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]*\s+(?=\S)|\n+")
_RANGE = re.compile(r"\]?\s*(?:s|sec|seconds)?\s*(?:-|–|to)\s*\[?")
_PREPOSITION = re.compile(
    r"\b(?:at|from|to|until|till|by|around|near|since|between|and|after|before)\s[\[<(]?$", re.IGNORECASE
)
_CLOSING = re.compile(r"(?:\s?(?:seconds?|secs?|s)\b)?[\]>)*]*")
_LIST_MARKER = re.compile(r"^\s*(?:[-*•]\s+|\d+[.)]\s+)")


@dataclass(frozen=True)
class TimedResult:
    """A piece of the answer, and the part of the video of which it tells."""

    start_time: float
    end_time: float
    text: str
    supported: bool
    """Whether a chunk's answer gives start_time too."""
    chunk_index: int | None


@dataclass(frozen=True)
class PlacedCitation:
    """A citation, and where it stands."""

    citation: Citation
    start: int
    stop: int


def timed_results(answer: Answer) -> tuple[TimedResult, ...]:
    pieces = list(_pieces(answer))
    if not pieces:
        return tuple(
            TimedResult(chunk.start_time, chunk.end_time, " ".join(chunk.response.split()), True, chunk.chunk_index)
            for chunk in answer.chunk_results
            if chunk.response
        )
    starts = sorted({piece.cited.citation.time for piece in pieces})
    results = []
    for piece in sorted(pieces, key=lambda piece: piece.cited.citation.time):
        start = piece.cited.citation.time
        later = (other for other in starts if other > start)
        end = next(later, max(answer.video_info.duration, start)) if piece.end_time is None else piece.end_time
        results.append(
            TimedResult(
                start,
                max(end, start + LEAST_SECONDS),
                piece.text,
                piece.cited.citation.supported,
                piece.cited.citation.chunk_index,
            )
        )
    return tuple(results)


@dataclass(frozen=True)
class _Piece:
    """A part of the answer that tells of one moment."""

    cited: PlacedCitation
    end_time: float | None
    """Where the answer gives one."""
    text: str


def _pieces(answer: Answer) -> Iterator[_Piece]:
    """A sentence for each, or more of them where only the first gives a time; less where one gives several."""
    text, cited = answer.aggregated_response or "", placed_citations(answer)
    bounds = pieces_between(text, cited)
    for first, (start, stop) in bounds:
        end_time = None
        inside = [other for other in cited if start <= other.start < stop]
        if len(inside) > 1 and _RANGE.fullmatch(text[inside[0].stop : inside[1].start]):
            end_time = inside[1].citation.time
        said = _without_times(text[start:stop], inside, start)
        if said:
            yield _Piece(first, end_time, said)


def pieces_between(text: str, cited: Sequence[PlacedCitation]) -> list[tuple[PlacedCitation, tuple[int, int]]]:
    """Each citation that opens a piece, and the piece's place: from the start of its sentence, or from the citation
    itself where the sentence gave a time before, to the next piece.
    """
    sentences = [0, *(match.end() for match in _SENTENCE_END.finditer(text))]
    opening: list[tuple[PlacedCitation, int]] = []
    before: PlacedCitation | None = None
    for one in cited:
        sentence = sentences[bisect_right(sentences, one.start) - 1]
        is_first = before is None or before.start < sentence
        is_second = before is not None and _RANGE.fullmatch(text[before.stop : one.start])
        if not is_second and (is_first or not _is_word(text, one.start)):
            opening.append((one, 0 if not opening else sentence if is_first else one.start))
        before = one
    stops = [*(start for _, start in opening[1:]), len(text)]
    return [(one, (start, stop)) for (one, start), stop in zip(opening, stops, strict=False)]


def placed_citations(answer: Answer) -> list[PlacedCitation]:
    text, place = answer.aggregated_response or "", 0
    found = []
    for citation in answer.citations:
        start = text.find(citation.text, place)
        if start >= 0:
            place = start + len(citation.text)
            found.append(PlacedCitation(citation, start, place))
    return found


def _without_times(text: str, cited: Sequence[PlacedCitation], offset: int) -> str:
    """A piece without the times that mark it; those that are words of a sentence (`at 12 s`) stay."""
    for time_start, stop in reversed(list(_marks(text, cited, offset))):
        start = len(text[:time_start].rstrip("[<(*"))
        after = _CLOSING.match(text, stop)
        assert after is not None, "it matches nothing, too"
        is_first = not _LIST_MARKER.sub("", text[:start]).strip()
        if is_first or text[start] in "[<(*":
            left, right = text[:start], text[after.end() :]
            right = right.lstrip(" -–:;,.") if is_first else right
            text = (left.rstrip() if right[:1] in (".", ",", ";", ":", "!", "?") else left) + right
    return _LIST_MARKER.sub("", " ".join(text.split())).strip()


def _marks(text: str, cited: Sequence[PlacedCitation], offset: int) -> Iterator[tuple[int, int]]:
    """Places of times, or of two with a hyphen between them, that are no words of a sentence."""
    last: tuple[int, int] | None = None
    for one in cited:
        start, stop = one.start - offset, one.stop - offset
        if last and _RANGE.fullmatch(text[last[1] : start]):
            last = last[0], stop
            continue
        if last:
            yield last
        last = None if _is_word(text, start) else (start, stop)
    if last:
        yield last


def _is_word(text: str, start: int) -> bool:
    return bool(_PREPOSITION.search(text[max(0, start - 16) : start]))
