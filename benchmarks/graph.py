"""`make bench-graph`: the graph beside the plain alternative, `vllm serve` with `video_url`, on one machine."""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from statistics import mean, median

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.asking import FPS, Asked, Server
from benchmarks.films import LONG_SECONDS, MINUTE_SECONDS, film
from benchmarks.measuring import cpu_seconds_of
from benchmarks.servers import longtake_server, vllm_server

VIDEOS_AT_ONCE = {1: 6, 8: 16}
"""How many videos are asked about in all, by how many at a time."""
WARM_UP_SEEDS = range(1, 3)
MAX_TOKENS = 32
"""Fewer than the scenes of a minute take, so that all answers are of one length."""
OURS, THEIRS = "Longtake", "vllm serve"


@dataclass(frozen=True)
class Phase:
    """Videos of a minute, so many at a time."""

    num_videos: int
    wall_seconds: float
    cpu_seconds: float
    """Of the server and of who asks."""
    engine_seconds: float
    """What the videos spent in the engine: waiting, prefill, generation."""
    asked: Sequence[Asked]

    @property
    def videos_per_second(self) -> float:
        return self.num_videos / self.wall_seconds

    @property
    def cpu_seconds_each(self) -> float:
        return self.cpu_seconds / self.num_videos

    @property
    def engine_seconds_each(self) -> float:
        return self.engine_seconds / self.num_videos

    @property
    def other_seconds_each(self) -> float:
        """Before and around the engine: reading, decoding, resizing, patches, HTTP."""
        return mean(asked.seconds for asked in self.asked) - self.engine_seconds_each

    @property
    def prompt_tokens_each(self) -> float:
        return mean(asked.prompt_tokens for asked in self.asked)

    @property
    def completion_tokens_each(self) -> float:
        return mean(asked.completion_tokens for asked in self.asked)


@dataclass(frozen=True)
class Round:
    """What one server did while it was up."""

    phases: dict[int, Phase]
    """By how many videos were asked about at a time."""
    long: Asked
    """The film of ten minutes."""
    long_cpu_seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the graph beside vLLM's own server.")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    console = Console(width=120)
    console.print(
        f"{os.cpu_count()} cores ({platform.machine()}), {arguments.rounds} rounds, in each one server after the "
        "other, started anew; medians. The embedded model on vLLM's CPU build, the same engine arguments; films of "
        f"640x360 at 25 frames a second in H.264, of which {FPS:g} a second are looked at, at 64x128 px."
    )
    sides: dict[str, Callable[[], AbstractContextManager[Server]]] = {OURS: longtake_server, THEIRS: vllm_server}
    runs: dict[str, list[Round]] = {name: [] for name in sides}
    long_frames = round(LONG_SECONDS * FPS)
    for number in range(arguments.rounds):
        for name, serve in sides.items():
            with console.status(f"Round {number + 1}: {name}"), serve() as server:
                runs[name].append(_round(server, long_frames))
            long_frames = runs[name][-1].long.num_frames  # Longtake comes first: vLLM is to look at as many
    console.print(_minutes(runs))
    console.print(_long(runs))


def _round(server: Server, long_frames: int) -> Round:
    _phase(server, len(WARM_UP_SEEDS), WARM_UP_SEEDS)
    phases: dict[int, Phase] = {}
    first_seed = WARM_UP_SEEDS.stop
    for at_once, num_videos in VIDEOS_AT_ONCE.items():
        phases[at_once] = _phase(server, at_once, range(first_seed, first_seed + num_videos))
        first_seed += num_videos
    video = server.give(film(0, LONG_SECONDS))
    tree = psutil.Process()
    before = cpu_seconds_of(tree)
    long = server.ask(video, num_frames=long_frames, max_tokens=1)
    return Round(phases, long, cpu_seconds_of(tree) - before)


def _phase(server: Server, at_once: int, seeds: range) -> Phase:
    """About videos that were not asked about while this server was up."""
    videos = [server.give(film(seed, MINUTE_SECONDS)) for seed in seeds]
    ask = partial(server.ask, num_frames=round(MINUTE_SECONDS * FPS), max_tokens=MAX_TOKENS)
    tree = psutil.Process()  # both servers are below this process
    engine_before, cpu_before, started = server.engine_seconds(), cpu_seconds_of(tree), time.perf_counter()
    with ThreadPoolExecutor(at_once) as askers:
        asked = list(askers.map(ask, videos))
    return Phase(
        num_videos=len(videos),
        wall_seconds=time.perf_counter() - started,
        cpu_seconds=cpu_seconds_of(tree) - cpu_before,
        engine_seconds=server.engine_seconds() - engine_before,
        asked=asked,
    )


def _minutes(runs: dict[str, list[Round]]) -> Table:
    table = Table(
        title="Videos of a minute, one chunk each. Asked: 1.5 times as many in the same time",
        caption="In the engine: waiting, prefill and generation of one video. Elsewhere: the rest of the time until "
        "its answer, in which it is read, decoded, resized and cut into patches.",
    )
    headings = "videos/s, ours / theirs, CPU s each, in the engine s, elsewhere s, prompt tokens, tokens written"
    for heading in ("at once", "server", *headings.split(", ")):
        table.add_column(heading, justify="left" if heading == "server" else "right")
    for at_once in VIDEOS_AT_ONCE:
        for name, rounds in runs.items():
            phases = [one.phases[at_once] for one in rounds]
            ratios = [
                ours.phases[at_once].videos_per_second / theirs.phases[at_once].videos_per_second
                for ours, theirs in zip(runs[OURS], runs[THEIRS], strict=True)
            ]
            table.add_row(
                str(at_once),
                name,
                f"{median(phase.videos_per_second for phase in phases):.2f}",
                f"{median(ratios):.2f}" if name == OURS else "",
                f"{median(phase.cpu_seconds_each for phase in phases):.2f}",
                f"{median(phase.engine_seconds_each for phase in phases):.2f}",
                f"{median(phase.other_seconds_each for phase in phases):.2f}",
                f"{median(phase.prompt_tokens_each for phase in phases):.0f}",
                f"{median(phase.completion_tokens_each for phase in phases):.0f}",
            )
    return table


def _long(runs: dict[str, list[Round]]) -> Table:
    table = Table(
        title="A film of 10 minutes: the first token about its first chunk, beside the first token about all of it. "
        "Asked: 3 times sooner",
        caption="One token written by each answer. vLLM's own loader for Qwen3-VL would stop at 768 frames; here its "
        "loader for any model takes as many as Longtake.",
    )
    for heading in ("server", "first token s", "theirs / ours", "all answers s", "CPU s", "frames", "prompt tokens"):
        table.add_column(heading, justify="left" if heading == "server" else "right")
    ratios = [
        theirs.long.first_seconds / ours.long.first_seconds
        for ours, theirs in zip(runs[OURS], runs[THEIRS], strict=True)
    ]
    for name, rounds in runs.items():
        table.add_row(
            name,
            f"{median(one.long.first_seconds for one in rounds):.2f}",
            f"{median(ratios):.1f}" if name == OURS else "",
            f"{median(one.long.seconds for one in rounds):.2f}",
            f"{median(one.long_cpu_seconds for one in rounds):.1f}",
            f"{median(one.long.num_frames for one in rounds):.0f}",
            f"{median(one.long.prompt_tokens for one in rounds):.0f}",
        )
    return table


if __name__ == "__main__":
    main()
