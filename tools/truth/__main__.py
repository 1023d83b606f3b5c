"""`make truth`: how true the demo model's answers are, through HTTP and the whole graph, on films it never saw."""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterable
from itertools import combinations

from rich.console import Console
from rich.progress import track
from rich.table import Table

from deployments.model_choice import DEMO_MODEL
from deployments.serving.embedded_server import embedded_server
from longtake import Longtake
from tools.truth.clips import FOLDER, in_every_codec, long_film, unseen_clips
from tools.truth.decoders import told_by_each_decoder
from tools.truth.measure import STEP_SECONDS, Told, ask, ask_whole
from tools.truth.scoring import Score, agreement

NUM_CLIPS = 240
CHUNKINGS = ((60.0, 2.0), (30.0, 2.0), (20.0, 4.0), (60.0, 0.0), (45.0, 1.0))
"""Duration and overlap, in seconds."""

CLIP_TARGET, FILM_TARGET, AGREEMENT_TARGET = 0.97, 0.95, 0.95
CLIPS_MAY_INVENT = 0.03
"""Of what is told of clips of one chunk; of a merged film nothing may be invented."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how true the demo model's answers are.")
    parser.add_argument("--clips", type=int, default=NUM_CLIPS, help="how many clips of one chunk")
    arguments = parser.parse_args()
    console = Console()
    console.print(
        f"{arguments.clips} clips, a film of 10 minutes and one of 3, of the seeds for testing; {os.cpu_count()} "
        f"cores, {platform.machine()}. A scene is right when its colour and shape are, and its time is at most "
        f"{STEP_SECONDS:g} s off: the step between the times that the model is shown."
    )
    with embedded_server({"model": str(DEMO_MODEL)}) as url, Longtake(url) as client:
        reached = [
            measure_clips(client, arguments.clips, console),
            measure_chunkings(client, console),
            measure_codecs(client, console),
        ]
    reached.append(measure_decoders(console))
    sys.exit(0 if all(reached) else 1)


def measure_clips(client: Longtake, count: int, console: Console) -> bool:
    """Clips of one chunk, of every codec, size and kind."""
    asked = ask_whole(client, unseen_clips(count), FOLDER)
    told = list(track(asked, "Clips of one chunk", total=count, console=console, transient=True))
    table = _table("Clips of one chunk", "group", "clips")
    groups: tuple[Callable[[Told], str], ...] = (
        lambda one: one.clip.codec,
        lambda one: one.clip.size,
        lambda one: f"{float(one.clip.fps):.3g} fps",
        lambda one: one.clip.kind,
        lambda one: f"{min(len(one.clip.film.scenes) // 3 * 3, 9)} or more scenes",
    )
    for key in groups:
        for name in sorted({key(one) for one in told}):
            _row(table, [one for one in told if key(one) == name], name)
        table.add_section()
    whole = _row(table, told, "all")
    console.print(table)
    is_right = _verdict(console, "right, of the scenes of all clips", whole.right_share, CLIP_TARGET)
    return (
        _verdict(console, "not invented, of what is told", 1 - whole.invented_share, 1 - CLIPS_MAY_INVENT) and is_right
    )


def measure_chunkings(client: Longtake, console: Console) -> bool:
    """A film of ten minutes, cut in several ways and merged."""
    film = long_film()
    told = {}
    table = _table(f"A film of {film.film.duration_seconds / 60:.0f} minutes, merged", "chunks of, overlap", "chunks")
    for duration, overlap in track(CHUNKINGS, "Chunkings", console=console, transient=True):
        name = f"{duration:g} s, {overlap:g} s"
        told[name] = ask(client, film, FOLDER, chunk_duration=duration, chunk_overlap=overlap)
        _row(table, [told[name]], name, told[name].answer["num_chunks"])
    console.print(table)
    worst = min(one.score.right_share for one in told.values())
    invented = max(one.score.invented for one in told.values())
    return all(
        (
            _verdict(console, "right after merging, in the worst chunking", worst, FILM_TARGET),
            _none_invented(console, invented),
            _agreement(console, "chunkings", told.values()),
        )
    )


def measure_codecs(client: Longtake, console: Console) -> bool:
    """The same three minutes, encoded four times."""
    told = [ask(client, clip, FOLDER, chunk_duration=30) for clip in in_every_codec(long_film(180, seed=10_001))]
    table = _table("Three minutes, encoded in every codec", "codec", "chunks")
    for one in told:
        _row(table, [one], one.clip.codec, one.answer["num_chunks"])
    console.print(table)
    return _agreement(console, "codecs", told)


def measure_decoders(console: Console) -> bool:
    """The same 40 s in every codec, by each backend alone. Without the graph, which picks the backend itself."""
    told = asyncio.run(told_by_each_decoder(in_every_codec(long_film(40, seed=10_002)), FOLDER))
    table = _table("40 seconds, in every codec, by each decoder backend", "codec, backend", "chunks")
    for one in told:
        _row(table, [one], f"{one.clip.codec}, {one.answer['decoder']}", 1)
    console.print(table)
    return _agreement(console, "codecs and decoder backends", told)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title)
    for i, column in enumerate((*columns, "scenes", "colour and shape", "and the time", "invented")):
        table.add_column(column, justify="right" if i else "left")
    return table


def _row(table: Table, told: list[Told], name: str, count: int | None = None) -> Score:
    total = sum((one.score for one in told), Score())
    numbers = (len(told) if count is None else count, total.scenes)
    shares = (f"{total.seen_share:.1%}", f"{total.right_share:.1%}")
    table.add_row(name, *map(str, numbers), *shares, str(total.invented))
    return total


def _agreement(console: Console, what: str, told: Iterable[Told]) -> bool:
    shares = [agreement(a.events, b.events, step_seconds=STEP_SECONDS) for a, b in combinations(told, 2)]
    console.print(f"Agreement of two {what}: {statistics.mean(shares):.1%} on average over {len(shares)} pairs.")
    return _verdict(console, f"agreement of the two {what} that differ most", min(shares), AGREEMENT_TARGET)


def _none_invented(console: Console, most_invented: int) -> bool:
    reached = most_invented == 0
    console.print(
        f"{'reached' if reached else 'MISSED'}: {most_invented} invented in the worst chunking (asked for: 0)"
    )
    return reached


def _verdict(console: Console, what: str, share: float, target: float) -> bool:
    reached = share >= target
    console.print(f"{'reached' if reached else 'MISSED'}: {share:.1%} {what} (asked for: {target:.0%})\n")
    return reached


if __name__ == "__main__":
    main()
