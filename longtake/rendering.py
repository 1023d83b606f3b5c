"""Results in other forms: by their times, as Markdown, subtitles and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from longtake.clock import clock, subtitle_clock
from longtake.timed import TimedResult, pieces_between, placed_citations

if TYPE_CHECKING:
    from longtake.results import AnalysisState, Answer, Estimate, Plan

UNSUPPORTED = "⚠"
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
    """A row for each result, with the columns of its group before it."""
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


def answer_markdown(answer: Answer, title: str) -> str:
    parts = [f"### {title}", cited_markdown(answer)]
    if answer.unsupported:
        parts.append(f"{UNSUPPORTED} No chunk's answer supports the times marked so.")
    if answer.aggregation_error:
        parts.append(f"**The answers were not merged:** {answer.aggregation_error}")
    failed = [chunk for chunk in answer.chunk_results if chunk.error]
    parts += [
        f"**Not answered:** {clock(chunk.start_time)} – {clock(chunk.end_time)}: {chunk.error.message}"
        for chunk in failed
        if chunk.error
    ]
    coverage = answer.coverage
    looked_at = (
        f"{coverage.frames_used} frames, {coverage.effective_fps:g} a second; {answer.total_successful_chunks} of "
        f"{answer.num_chunks} chunks; {answer.total_processing_time:.1f} s; {answer.model}"
    )
    parts.append(f"*{looked_at}*")
    parts += [f"> {notice}" for notice in (*coverage.notices, answer.notice) if notice]
    return "\n\n".join(parts) + "\n"


def estimate_markdown(estimate: Estimate) -> str:
    expected = estimate.expected_seconds
    rows = [
        ("chunks", f"{estimate.num_chunks} of {estimate.plan.chunk_duration:g} s"),
        ("frames", f"{estimate.num_frames}, {estimate.effective_fps:g} a second"),
        ("vision tokens", f"{estimate.visual_tokens:,}"),
        ("prompt tokens", f"at most {estimate.prompt_tokens:,}"),
        ("decoded frames", f"{estimate.frame_bytes / 1e6:,.1f} MB"),
        ("expected", f"{expected:.1f} s" if expected is not None else "not known"),
        ("not covered", spans(estimate.uncovered) or "nothing"),
    ]
    notes = [f"> {notice}" for notice in (estimate.expected.basis, *estimate.notices)]
    return "\n\n".join([_table("plan", "", rows), *notes]) + "\n"


def plan_markdown(plan: Plan) -> str:
    rows = [
        (f"{clock(chunk.start_time)} – {clock(chunk.end_time)}", f"{chunk.num_frames} of {chunk.width}x{chunk.height}")
        for chunk in plan.chunks
    ]
    return "\n\n".join([_table("chunk", "frames", rows), *(f"> {notice}" for notice in plan.notices)]) + "\n"


def state_markdown(state: AnalysisState) -> str:
    head = f"**{state.status}** {state.video}: {state.prompt}"
    if state.result:
        return f"{head}\n\n{answer_markdown(state.result, 'Answer')}"
    if state.error:
        return f"{head}\n\n{state.error.message}\n"
    done, total = state.progress.chunks_done, state.progress.num_chunks
    return f"{head}\n\n{done} of {'?' if total is None else total} chunks\n"


def spans(intervals: Iterable[tuple[float, float]]) -> str:
    return ", ".join(f"{clock(start)} – {clock(stop)}" for start, stop in intervals)


def cited_markdown(answer: Answer) -> str:
    """The answer with its times as [MM:SS], a line for each where each sentence begins with one."""
    cited = placed_citations(answer)
    if not cited:
        return answer.text
    text = answer.aggregated_response or ""
    opening = [start for one, (start, _) in pieces_between(text, cited) if start == one.start]
    is_list = len(opening) > 1 and len(opening) == len(pieces_between(text, cited)) and opening[0] == 0
    parts, place = [], 0
    for one in cited:
        between = text[place : one.start]
        if is_list and one.start in opening:
            between = between.rstrip() + ("\n" if place else "") + "- "
        mark = f" {UNSUPPORTED}" if not one.citation.supported else ""
        parts += [between, f"**[{clock(one.citation.time)}]**{mark}"]
        place = one.stop
    return "".join([*parts, text[place:]])


def _subtitle(result: TimedResult) -> str:
    return result.text if result.supported else f"{result.text} ({UNSUPPORTED_IN_WORDS})"


def _table(left: str, right: str, rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join([f"| {left} | {right} |", "| --- | --- |", *(f"| {name} | {value} |" for name, value in rows)])
