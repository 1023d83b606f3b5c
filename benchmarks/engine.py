"""`make bench-engine`: what feeding the engine costs, what asking again costs, and how far decoding hides behind it."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.asking import Asked, ask_longtake
from benchmarks.films import LONG_SECONDS, film
from benchmarks.footage import FOLDER
from benchmarks.measuring import Method, result_of
from benchmarks.overlap import Overlap, overlap, timeline
from benchmarks.pixel_path import HEIGHT_PX, NUM_FRAMES, WIDTH_PX, PixelPath, pixel_path
from benchmarks.servers import CHUNK_SECONDS, LongtakeServer, longtake_server
from tools.demo_model.language import PROMPTS
from tools.truth.clips import long_film

FIRST_QUESTION, SECOND_QUESTION = PROMPTS[0], PROMPTS[3]
PIXEL_ROUNDS_PER_ROUND = 4
FIRST_SEED = 50_000
"""Of films that no other benchmark or test asks about."""


@dataclass(frozen=True)
class Layout:
    """How the film of ten minutes is cut."""

    name: str
    options: dict[str, Any]


LAYOUTS = (
    Layout("one chunk, 1 frame a second", {"chunk_duration": LONG_SECONDS + 1, "fps": 1}),
    Layout(
        "chunks of 60 s, 2 frames a second",
        {"chunk_duration": CHUNK_SECONDS, "chunk_overlap": 0, "fps": 2, "aggregate": False},
    ),
)
"""A chunk has 768 frames at most, so that as one chunk the film is looked at half as often."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what the engine costs.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("pixels", "again", "overlap"), default=None)
    arguments = parser.parse_args()
    console = Console(width=120)
    console.print(
        f"{os.cpu_count()} cores ({platform.machine()}), the embedded model on vLLM's CPU build, {arguments.rounds} "
        "rounds, both sides in each; medians."
    )
    if arguments.only in (None, "pixels"):
        method = Method("pixels", partial(pixel_path, PIXEL_ROUNDS_PER_ROUND * arguments.rounds))
        console.print(_pixels(result_of(method)))
    if arguments.only == "pixels":
        return
    with console.status("Starting the graph"), longtake_server() as server:
        list(_asked_twice(server, LAYOUTS[1], FIRST_SEED - 1))  # so that every process has done everything once
        if arguments.only in (None, "again"):
            console.print(_again(server, arguments.rounds))
        if arguments.only in (None, "overlap"):
            path = film(0, LONG_SECONDS)
            _report_overlap([overlap(server, path) for _ in range(arguments.rounds)], console)


def _pixels(path: PixelPath) -> Table:
    table = Table(
        title=f"The pixels of a chunk of {NUM_FRAMES} frames of {WIDTH_PX}x{HEIGHT_PX} ({path.num_bytes / 1e6:.0f} MB) "
        "in the process that feeds the engine. Asked: 5 ms",
        caption="CPU of all threads, torch on one. Beside the decoder, making the patches takes "
        f"{path.patches:.0f} ms for each chunk, which vLLM's own way has in its.",
    )
    for heading in ("way", "CPU ms", "of vLLM's"):
        table.add_column(heading, justify="left" if heading == "way" else "right")
    rows = {
        "Longtake": path.ours,
        "Longtake, times new to the tokenizer": path.ours_new_times,
        "vLLM: processor, hash, tokenizer": path.vllms,
    }
    for name, milliseconds in rows.items():
        table.add_row(name, f"{milliseconds:.1f}", f"{milliseconds / path.vllms:.3f}")
    return table


def _again(server: LongtakeServer, rounds: int) -> Table:
    """Films of seeds of their own in every round: nothing about them is known before the first question."""
    runs: dict[str, list[Sequence[Asked]]] = {layout.name: [] for layout in LAYOUTS}
    for number in range(rounds * len(LAYOUTS)):
        layout = LAYOUTS[number % len(LAYOUTS)]
        runs[layout.name].append(tuple(_asked_twice(server, layout, FIRST_SEED + number)))
    table = Table(
        title="A second question about the same film: 10 minutes of 320x180, 10 frames a second, H.264. Asked: first "
        "token 10 times sooner",
        caption="first token: of the first chunk's answer. whole: until all chunks are answered, one token each.",
    )
    for heading in ("cut", "question", "first token s", "whole s", "decoding s", "cached tokens", "sooner", "whole"):
        table.add_column(heading, justify="left" if heading in ("cut", "question") else "right")
    for name, pairs in runs.items():
        for which, question in enumerate(("first", "second")):
            asked = [pair[which] for pair in pairs]
            table.add_row(
                name,
                question,
                f"{_median(asked, _first):.3f}",
                f"{_median(asked, _whole):.3f}",
                f"{_median(asked, _decoding):.2f}",
                f"{_median(asked, _cached):.0f} of {_median(asked, _prompt):.0f}",
                *([""] * 2 if which == 0 else [f"{_ratio(pairs, of):.1f}" for of in (_first, _whole)]),
            )
    return table


def _asked_twice(server: LongtakeServer, layout: Layout, seed: int) -> Iterator[Asked]:
    video = server.give(long_film(LONG_SECONDS, seed=seed).written(FOLDER))
    for question in (FIRST_QUESTION, SECOND_QUESTION):
        # One token: a chunk's answer is told when it is whole, and is so with its first token.
        yield ask_longtake(server.client, video, question, **layout.options, max_tokens=1, seed=0)


def _report_overlap(rounds: Sequence[Overlap], console: Console) -> None:
    cores = os.cpu_count() or 1
    middle = sorted(rounds, key=lambda one: one.over_the_larger)[len(rounds) // 2]
    table = Table(
        title="A film of 10 minutes of 640x360 at 25 frames a second, 2 a second looked at, in chunks of 60 s. "
        "Asked: 1.10 times the larger of its halves",
        caption=f"Decoders and engine share {cores} cores: where both halves need them all, the whole can take no less "
        "than their CPU seconds.",
    )
    for heading in ("", "wall s", "CPU s", f"CPU s / {cores} cores"):
        table.add_column(heading, justify="right" if heading else "left")
    halves = {"the whole graph, over HTTP": "whole", "decoding alone": "decoding", "inference alone": "inference"}
    for name, half in halves.items():
        spent = [getattr(one, half) for one in rounds]
        cpu_seconds = median(one.cpu_seconds for one in spent)
        table.add_row(
            name,
            f"{median(one.wall_seconds for one in spent):.2f}",
            f"{cpu_seconds:.2f}",
            f"{cpu_seconds / cores:.2f}",
        )
    console.print(table)
    console.print(
        f"Wall over the larger half: {median(one.over_the_larger for one in rounds):.2f}. CPU over the sum of the "
        f"halves': {median(one.over_the_sum_of_cpu for one in rounds):.2f}."
    )
    console.print(_chunk_times(middle.asked))


def _chunk_times(asked: Asked) -> Table:
    """The round in the middle, chunk by chunk."""
    table = Table(title="Waiting (·), decoding (░) and inference (█) of its chunks, in the round in the middle")
    for heading in ("chunk", "queue s", "decode s", "inference s", "done s"):
        table.add_column(heading, justify="right")
    table.add_column(f"0 to {asked.seconds:.1f} s")
    for chunk, line in zip(sorted(asked.chunks, key=lambda one: one.index), timeline(asked), strict=True):
        seconds = (chunk.queue_seconds, chunk.decode_seconds, chunk.inference_seconds, chunk.done_seconds)
        table.add_row(str(chunk.index), *(f"{value:.2f}" for value in seconds), line)
    return table


def _ratio(pairs: Sequence[Sequence[Asked]], of: Callable[[Asked], float]) -> float:
    return median(of(first) / of(second) for first, second in pairs)


def _median(asked: Sequence[Asked], of: Callable[[Asked], float]) -> float:
    return median(of(one) for one in asked)


def _first(asked: Asked) -> float:
    return asked.first_seconds


def _whole(asked: Asked) -> float:
    return asked.seconds


def _decoding(asked: Asked) -> float:
    return asked.decode_seconds


def _cached(asked: Asked) -> float:
    return asked.cached_tokens


def _prompt(asked: Asked) -> float:
    return asked.prompt_tokens


if __name__ == "__main__":
    main()
