"""Terminal output: progress for stderr, answers and plans for stdout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.markdown import Markdown
from rich.padding import Padding
from rich.panel import Panel
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from longtake.clock import clock
from longtake.events import ChunkEvent, DeltaEvent, PlanEvent, ProgressEvent, ServerEvent
from longtake.exports import UNSUPPORTED, spans
from longtake.plans import Estimate, VideoInfo
from longtake.results import Answer


class Stages:
    """Progress bars for the stages of one analysis: upload, plan, chunks, merge."""

    def __init__(self, progress: Progress, *, uploads: bool, asks: bool) -> None:
        """`uploads`: whether a file is sent first; `asks`: whether an analysis follows the upload."""
        self._progress = progress
        self._asks = asks
        self._upload = self._added("upload", "") if uploads else None
        self._plan = None if uploads else self._added("plan", "reading the video")
        self._chunks: TaskID | None = None
        self._merge: TaskID | None = None
        self._decode_seconds = self._inference_seconds = 0.0
        self._failed = self._characters = 0

    def update_upload(self, sent: int, total: int) -> None:
        if self._upload is None:
            return
        detail = f"{sent / 1e6:.1f} of {total / 1e6:.1f} MB"
        self._progress.update(self._upload, total=total, completed=sent, detail=detail)
        if sent == total and self._asks and self._plan is None:
            self._plan = self._added("plan", "reading the video")

    def update(self, event: ServerEvent) -> None:
        match event:
            case PlanEvent(plan=plan):
                if self._plan is not None:
                    self._progress.update(self._plan, total=1, completed=1, detail=_video_text(plan.video_info))
                self._chunks = self._added("chunks", f"0 of {plan.num_chunks}", plan.num_chunks)
            case ChunkEvent(chunk=chunk):
                self._decode_seconds += chunk.decode_seconds
                self._inference_seconds += chunk.inference_seconds
                self._failed += not chunk.success
            case ProgressEvent(is_merging=True):
                self._merge = self._added("merge", "")
            case ProgressEvent() if self._chunks is not None:
                self._progress.update(self._chunks, completed=event.chunks_done, detail=self._chunks_text(event))
            case DeltaEvent(text=text):
                self._characters += len(text)
                if self._merge is not None:
                    self._progress.update(self._merge, detail=f"{self._characters} characters")

    def finish(self) -> None:
        if self._merge is not None:
            self._progress.update(self._merge, total=1, completed=1)

    def _added(self, stage: str, detail: str, total: int | None = None) -> TaskID:
        return self._progress.add_task(stage, total=total, detail=detail)

    def _chunks_text(self, event: ProgressEvent) -> str:
        text = (
            f"{event.chunks_done} of {event.num_chunks}, {self._decode_seconds:.1f} s of decoding, "
            f"{self._inference_seconds:.1f} s of inference"
        )
        return f"{text}, [red]{self._failed} failed[/]" if self._failed else text


@contextmanager
def stages(
    console: Console, heading: str, *, is_shown: bool, uploads: bool = False, asks: bool = True
) -> Iterator[Stages]:
    """Show progress bars under a heading while the block runs."""
    columns = (
        TextColumn("  "),
        SpinnerColumn(finished_text="[green]✓[/]"),
        TextColumn("{task.description:<7}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.fields[detail]}", style="dim"),
    )
    if is_shown:
        console.print(Text(heading, style="bold"))
    with Progress(*columns, console=console, disable=not is_shown) as progress:
        shown = Stages(progress, uploads=uploads, asks=asks)
        yield shown
        shown.finish()


def answer_shown(answer: Answer, heading: str, *, with_notice: bool) -> RenderableType:
    """The answer with its times, then its coverage and, `with_notice`, what to know about the model."""
    coverage, video = answer.coverage, answer.video_info
    below = [
        Text(
            f"{coverage.frames_used} frames, {coverage.effective_fps:g} per second; "
            f"{answer.total_successful_chunks} of {answer.num_chunks} chunks; "
            f"{answer.total_processing_time:.1f} s for {clock(video.duration)} of video; {answer.model}",
            style="dim",
        )
    ]
    if answer.unsupported:
        below.append(Text(f"{UNSUPPORTED} No chunk's answer supports the times marked so.", style="yellow"))
    if answer.aggregation_error:
        below.append(Text(f"The answers were not merged: {answer.aggregation_error}", style="red"))
    for chunk in answer.chunk_results:
        if chunk.error:
            span = f"{clock(chunk.start_time)} – {clock(chunk.end_time)}"
            below.append(Text(f"Not answered: {span}: {chunk.error.message}", style="red"))
    below += [Text(f"Note: {notice}", style="dim") for notice in coverage.notices]
    if answer.notice and with_notice:
        below.append(Text(f"Note: {answer.notice}", style="dim"))
    shown = Markdown(answer.cited_markdown() or "*No answer.*")
    return Group(Panel(shown, title=Text(heading), title_align="left"), Padding(Group(*below), (0, 2, 1, 2)))


def estimate_shown(estimate: Estimate, heading: str, *, with_chunks: bool) -> RenderableType:
    expected = estimate.expected
    table = Table.grid(padding=(0, 3))
    table.add_column(style="dim")
    rows = [
        ("video", _video_text(estimate.plan.video_info)),
        ("chunks", f"{estimate.num_chunks} of up to {estimate.plan.chunk_duration:g} s"),
        ("frames looked at", f"{estimate.num_frames:,}, {estimate.effective_fps:g} per second"),
        ("vision tokens", f"{estimate.visual_tokens:,}"),
        ("prompt tokens", f"at most {estimate.prompt_tokens:,}"),
        ("decoded frames", f"{estimate.frame_bytes / 1e6:,.1f} MB"),
        ("not covered", spans(estimate.uncovered) or "nothing"),
        ("expected time", _seconds(estimate.expected_seconds)),
    ]
    if estimate.expected_seconds is not None:
        rows.append(
            (
                "",
                f"decoding {_seconds(expected.decode_seconds)} and inference {_seconds(expected.inference_seconds)} of "
                f"work, merging {_seconds(expected.merge_seconds)}",
            )
        )
    for row in rows:
        table.add_row(*row)
    notes = [Text(note, style="dim") for note in (expected.basis, *estimate.notices)]
    chunks = [_chunks_shown(estimate)] if with_chunks else []
    return Group(Panel(table, title=Text(heading), title_align="left"), Padding(Group(*notes), (0, 2)), *chunks)


def _chunks_shown(estimate: Estimate) -> Table:
    table = Table("chunk", "from", "to", "frames", "size")
    for chunk in estimate.plan.chunks:
        size = f"{chunk.width}x{chunk.height}"
        table.add_row(
            str(chunk.chunk_index), clock(chunk.start_time), clock(chunk.end_time), str(chunk.num_frames), size
        )
    return table


def _video_text(video: VideoInfo) -> str:
    return f"{video.width}x{video.height} {video.codec}, {clock(video.duration)}, {video.total_frames:,} frames"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "not known yet"
    return f"{seconds:.1f} s" if seconds < 120 else clock(seconds)
