"""Answers in other forms: subtitles, CSV, and parts of Markdown. The server's downloads use these functions, too."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence

from longtake.clock import clock, subtitle_clock
from longtake.times import Citation, TimedResult

UNSUPPORTED = "⚠"
_SENTENCE_START = re.compile(r"(?:^|\n|[.!?][\"')\]]*\s)\s*$")
_LOOK_BACK = 16
"""Characters before a time that say whether it starts a sentence."""
UNSUPPORTED_IN_WORDS = f"{UNSUPPORTED} no chunk's answer supports this time"


def srt(results: Iterable[TimedResult]) -> str:
    blocks = []
    for number, result in enumerate(results, 1):
        span = f"{subtitle_clock(result.start_time, ',')} --> {subtitle_clock(result.end_time, ',')}"
        blocks.append(f"{number}\n{span}\n{_subtitle(result).replace('-->', '→')}\n")
    return "\n".join(blocks)


def vtt(results: Iterable[TimedResult]) -> str:
    blocks = ["WEBVTT\n"]
    for result in results:
        span = f"{subtitle_clock(result.start_time, '.')} --> {subtitle_clock(result.end_time, '.')}"
        text = _subtitle(result).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        blocks.append(f"{span}\n{text}\n")
    return "\n".join(blocks)


def csv_rows(groups: Iterable[tuple[Mapping[str, str], Sequence[TimedResult]]]) -> str:
    """Write one row per result, with the columns of its group before it."""
    groups = list(groups)
    own = list(groups[0][0]) if groups else []
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*own, "start", "end", "text", "supported", "chunk_index"])
    for columns, results in groups:
        for result in results:
            times = f"{result.start_time:.3f}", f"{result.end_time:.3f}"
            index = "" if result.chunk_index is None else result.chunk_index
            writer.writerow([*columns.values(), *times, result.text, str(result.supported).lower(), index])
    return out.getvalue()


def cited_markdown(answer: str, citations: Iterable[Citation], results: Iterable[TimedResult]) -> str:
    """Return the answer with its times as [MM:SS]; as a list, if each of its pieces begins with one."""
    placed = [(one, one.start, one.stop) for one in citations if one.start is not None and one.stop is not None]
    openings = [start for _, start, _ in placed if _SENTENCE_START.search(answer[max(0, start - _LOOK_BACK) : start])]
    pieces = {result.start for result in results if result.start is not None}
    is_list = len(openings) > 1 and openings[0] == 0 and pieces.issubset(openings)
    parts, place = [], 0
    for citation, start, stop in placed:
        before = answer[place:start]
        if is_list and start in openings:
            before = before.rstrip() + ("\n" if place else "") + "- "
        mark = f" {UNSUPPORTED}" if not citation.supported else ""
        parts += [before, f"**[{clock(citation.time)}]**{mark}"]
        place = stop
    return "".join([*parts, answer[place:]])


def spans(intervals: Iterable[tuple[float, float]]) -> str:
    return ", ".join(f"{clock(start)} – {clock(stop)}" for start, stop in intervals)


def table(left: str, right: str, rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join([f"| {left} | {right} |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)])


def quoted(notices: Iterable[str | None]) -> list[str]:
    return [f"> {notice}" for notice in notices if notice]


def document(parts: Iterable[str]) -> str:
    """Join blocks of Markdown."""
    return "\n\n".join(parts) + "\n"


def _subtitle(result: TimedResult) -> str:
    return result.text if result.supported else f"{result.text} ({UNSUPPORTED_IN_WORDS})"
