"""`make demo`: the whole graph on a Ray instance of its own, asked about a clip over HTTP."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from deployments.embedded import embedded_server
from longtake import Longtake, ServerEvent
from tools.demo_clip import make_demo_clip

CLIP = Path(__file__).resolve().parent.parent / "build" / "demo.mp4"
CLIP_SECONDS = 192.0
PROMPT = "Describe what happens, with times."
OPTIONS = {"chunk_duration": 30, "max_tokens": 48, "seed": 7}


def main() -> None:
    console = Console()
    with _timed(console, "Making the clip"):
        make_demo_clip(CLIP, duration_seconds=CLIP_SECONDS)
    server = embedded_server()
    with _timed(console, "Starting the graph (Ray, six deployments, vLLM)"):
        url = server.__enter__()
    try:
        console.print(f"  serving at {url}; asking about {CLIP.name}: {PROMPT}")
        with Longtake(url) as client:
            answer = _watch(client.stream(CLIP, PROMPT, **OPTIONS), console)
        _report(answer, console)
    finally:
        with _timed(console, "Shutting down"):
            server.__exit__(None, None, None)


def _watch(events: Iterator[ServerEvent], console: Console) -> dict[str, Any]:
    """Shows progress until the answer is there."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("Uploading", total=None)
        for event in events:
            match event.name:
                case "plan":
                    video = event.data["video_info"]
                    console.print(
                        f"  {video['width']}x{video['height']} {video['codec']}, {video['duration']:.1f} s, "
                        f"{video['total_frames']} frames: {event.data['num_chunks']} chunks"
                    )
                    progress.update(bar, description="Chunks", total=event.data["num_chunks"])
                case "progress":
                    merging = event.data["stage"] == "merging"
                    description = "Merging" if merging else "Chunks"
                    progress.update(bar, description=description, completed=event.data["chunks_done"])
                case "answer":
                    return event.data
    raise RuntimeError("The server closed the stream without an answer.")


def _report(answer: dict[str, Any], console: Console) -> None:
    said = Text()
    for result in answer["chunk_results"]:
        words = result["response"] if result["success"] else result["error"]["message"]
        said.append(f"{result['start_time']:.0f} s to {result['end_time']:.0f} s: ", style="bold")
        said.append(" ".join(words.split())[:240] + "\n")
    said.rstrip()
    console.print(Panel(said, title="Chunk answers"))
    console.print(Panel(Text(answer["aggregated_response"] or "none"), title="Merged answer"))
    console.print(_coverage(answer))
    console.print(_timings(answer))
    for notice in (*answer["coverage"]["notices"], answer["notice"]):
        if notice:
            console.print(Text(f"Note: {notice}"))


def _coverage(answer: dict[str, Any]) -> Table:
    coverage = answer["coverage"]
    table = Table("coverage", "", title="What was looked at")
    table.add_row("frames", str(coverage["frames_used"]))
    table.add_row("fps asked / looked at", f"{coverage['requested_fps']:g} / {coverage['effective_fps']:g}")
    table.add_row("not covered", str(coverage["uncovered"] or "nothing"))
    table.add_row("failed chunks", str(coverage["failed_chunks"] or "none"))
    return table


def _timings(answer: dict[str, Any]) -> Table:
    results, stages = answer["chunk_results"], ("decode_seconds", "inference_seconds", "queue_seconds")
    whole = answer["total_processing_time"]
    speed = answer["video_info"]["duration"] / whole
    caption = f"Chunks overlap: the whole took {whole:.2f}, {speed:.1f} times faster than the video plays."
    table = Table(title="Where the time went, in seconds", caption=caption)
    for heading in ("chunk", "frames", *(stage.removesuffix("_seconds") for stage in stages)):
        table.add_column(heading, justify="right")
    for result in results:
        seconds = (f"{result[stage]:.2f}" for stage in stages)
        table.add_row(str(result["chunk_index"]), str(result["num_frames"]), *seconds)
    table.add_section()
    sums = (f"{sum(result[stage] for result in results):.2f}" for stage in stages)
    table.add_row("sum", str(answer["coverage"]["frames_used"]), *sums)
    return table


@contextmanager
def _timed(console: Console, what: str) -> Iterator[None]:
    started = time.perf_counter()
    with console.status(what):
        yield
    console.print(f"{what}: {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
