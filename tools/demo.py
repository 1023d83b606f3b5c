"""`make demo`: the whole graph on a Ray instance of its own, asked over HTTP about a film whose truth is known."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from deployments.model_choice import DEMO_MODEL
from deployments.serving.embedded_server import embedded_server
from longtake import AnalysisOptions, Longtake, ServerEvent
from tools.demo_model.language import LIST_PROMPT, heard
from tools.demo_model.scenes import Film, Split, random_film
from tools.truth.clips import Clip
from tools.truth.measure import FPS, STEP_SECONDS
from tools.truth.scoring import is_right, score, seen_pairs

BUILD = Path(__file__).resolve().parent.parent / "build"
FILM_SECONDS, FILM_FPS = 240.0, Fraction(10)
OPTIONS: AnalysisOptions = {"fps": FPS, "seed": 7}


def main() -> None:
    console = Console()
    film = random_film(Split.DEMO, 0, width_px=640, height_px=360, duration_seconds=FILM_SECONDS)
    with _timed(console, f"A film of {FILM_SECONDS / 60:g} minutes: coloured shapes, with the truth about them"):
        path = Clip("demo-film", film, "h264", FILM_FPS).written(BUILD)
    server = embedded_server({"model": str(DEMO_MODEL)})
    with _timed(console, "Starting the graph (Ray, six deployments, vLLM)"):
        url = server.__enter__()
    try:
        console.print(f"  serving at {url}; asking about {path.name}: {LIST_PROMPT}")
        with Longtake(url) as client:
            answer = _watch(client.stream(path, LIST_PROMPT, **OPTIONS), console)
        _report(answer, film, console)
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


def _report(answer: dict[str, Any], film: Film, console: Console) -> None:
    said = Text()
    for result in answer["chunk_results"]:
        words = result["response"] if result["success"] else result["error"]["message"]
        said.append(f"{result['start_time']:.0f} s to {result['end_time']:.0f} s: ", style="bold")
        said.append(" ".join(words.split())[:240] + "\n")
    said.rstrip()
    console.print(Panel(said, title="Chunk answers"))
    console.print(Panel(Text(answer["aggregated_response"] or "none"), title="Merged answer"))
    console.print(_truth(answer, film))
    console.print(_coverage(answer))
    console.print(_timings(answer))
    for notice in (*answer["coverage"]["notices"], answer["notice"]):
        if notice:
            console.print(Text(f"Note: {notice}"))


def _truth(answer: dict[str, Any], film: Film) -> Table:
    """The film's scenes beside the events of the merged answer, each beside the scene it tells of."""
    events = heard(answer["aggregated_response"] or "")
    told = score(film.scenes, events, step_seconds=STEP_SECONDS)
    caption = (
        f"{told.right} of {told.scenes} scenes right: colour, shape, and the time within {STEP_SECONDS:g} s, the step "
        f"between pairs of frames. {told.invented} invented."
    )
    table = Table("truth", "answer", title="What the film shows, and what was answered", caption=caption)
    told_of = dict(seen_pairs(film.scenes, events, step_seconds=STEP_SECONDS))
    for place, scene in enumerate(film.scenes):
        event = events[told_of[place]] if place in told_of else None
        style = "red" if event is None else "green" if is_right(scene, event, STEP_SECONDS) else "yellow"
        said = Text(str(event or "not told"), style=style)
        table.add_row(f"{scene.start_seconds:.1f} {scene.colour} {scene.shape}.", said)
    for place, event in enumerate(events):
        if place not in told_of.values():
            table.add_row("nothing", Text(str(event), style="red"))
    return table


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
