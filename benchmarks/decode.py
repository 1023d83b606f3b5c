"""`make bench-decode`: what decoding costs, beside the ways that others have. Both sides of every ratio in one run."""

from __future__ import annotations

import argparse
import itertools
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.decode_methods import (
    Work,
    checksums,
    drop,
    fetch_video,
    ffmpeg_threads,
    one_chunk,
    planned_pictures,
    processes,
    raw_ffmpeg,
    replica,
    replicas,
    sequential,
    threads,
)
from benchmarks.first_chunk import PROTOCOLS, first_chunk, long_film
from benchmarks.footage import X264, Footage
from benchmarks.measuring import Measured, Method, interleaved, median_of, result_of
from benchmarks.replica_pool import NUM_CHUNKS, busy_share

MB = 10**6
POOL_REPLICAS = 2
X265 = ("-c:v", "libx265", "-preset", "fast")
VP9, AV1 = ("-c:v", "libvpx-vp9", "-b:v", "700k", "-cpu-used", "4"), ("-c:v", "libsvtav1", "-preset", "8", "-crf", "35")


def _small(name: str, seconds: float, *encoding: str, suffix: str = "mp4") -> Footage:
    return Footage(name, 640, 360, 25, 13.8, seconds, encoding, suffix=suffix)


def _large(name: str, seconds: float, *encoding: str) -> Footage:
    return Footage(name, 1920, 1080, 30, 14.0, seconds, encoding, noise=4)


TUTORIAL = _small("tutorial", 690, *X264)
"""17,250 frames, as in the tutorial, of other footage."""
LONG = ((TUTORIAL, 768), (_large("long_1080p", 98, *X264), 192))
"""With how many frames: of 384 in 1080p fetch_video had 21 GB in memory, of 768 more than 24."""
ALONE = (
    (_small("b_frames", 69, *X264), 0.85),
    (_small("no_b_frames", 69, *X264, "-bf", "0"), 1.05),
    (_large("hevc_1080p", 42, *X265, "-x265-params", "log-level=error"), 0.6),
    (_small("vp9", 69, *VP9, suffix="webm"), 1.05),
    (_small("av1", 69, *AV1), 1.05),
)
"""With what may be spent, as a share of FFmpeg's own CPU seconds for the whole file."""


@dataclass(frozen=True)
class Comparison:
    """What is compared, the first method being the one that the others are held against."""

    title: str
    methods: Sequence[tuple[str, partial[Work]]]
    compare_frames: bool = True


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure what decoding costs.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("tutorial", "fetch", "alone", "first", "pool"), default=None)
    arguments = parser.parse_args()
    console = Console(width=120)
    console.print(
        f"{os.cpu_count()} cores ({platform.machine()}), {arguments.rounds} rounds, all methods in each; medians. CPU: "
        "user and system of all processes, without imports and warm-up; memory: the peak of their proportional set "
        "sizes, and the job's part of it, beside what imports and warm-up left."
    )
    cores = os.cpu_count() or 1
    if arguments.only in (None, "tutorial"):
        compare(_tutorial(TUTORIAL.made(), cores), arguments.rounds, console)
    if arguments.only in (None, "fetch"):
        for footage, nframes in LONG:
            compare(_fetch(footage, nframes), arguments.rounds, console)
    if arguments.only in (None, "alone"):
        for footage, allowed in ALONE:
            compare(_alone(footage, allowed), arguments.rounds, console)
    if arguments.only in (None, "first"):
        films = ((0.1, False), (1.9, False), (1.9, True))
        for (hours, index_in_front), protocol in itertools.product(films, PROTOCOLS):
            found = first_chunk(long_film(hours, index_in_front=index_in_front), protocol)
            console.print(
                f"Over {protocol}: {found.file_bytes / MB:.0f} MB, {found.duration_seconds / 60:.0f} minutes, index "
                f"{'in front' if index_in_front else 'at the end'}: the first chunk's {found.num_frames} frames after "
                f"{found.seconds:.2f} s and {found.read_bytes / MB:.1f} MB, {found.read_bytes / found.file_bytes:.1%}. "
                "Asked of 1 GB: 5 %"
            )
    if arguments.only in (None, "pool"):
        share, wall_seconds = busy_share(TUTORIAL.made(), POOL_REPLICAS)
        console.print(
            f"{POOL_REPLICAS} replicas of FrameDecoder, {NUM_CHUNKS} chunks, frames through Ray: {share:.1%} of their "
            f"time in the decoder, {wall_seconds:.1f} s. Asked: 90 %"
        )


def _tutorial(path: Path, cores: int) -> Comparison:
    every = 12
    return Comparison(
        f"17,250 frames of 640x360 H.264, one in {every}, at full size; {cores} cores. Asked: 1.5 times as fast as the "
        "best of the tutorial's methods, in a third of its memory",
        [
            (f"Longtake, {cores} workers", partial(replicas, path, every, cores)),
            ("tutorial 1: sequential", partial(sequential, path, every)),
            (f"tutorial 2: {cores} FFmpeg threads", partial(ffmpeg_threads, path, every, cores)),
            (f"tutorial 3: {cores} processes", partial(processes, path, every, cores)),
            (f"tutorial 4: {cores} threads", partial(threads, path, every, cores)),
        ],
    )


def _fetch(footage: Footage, nframes: int) -> Comparison:
    path = footage.made()
    return Comparison(
        f"{nframes} frames of {footage.seconds:.0f} s of {footage.width_px}x{footage.height_px} H.264, resized. "
        "Asked: half of fetch_video's CPU at 360p, 0.4 of it at 1080p, an eighth of its memory",
        [
            ("Longtake, in chunks of a minute", partial(replica, path, nframes)),
            ("Longtake, all in one chunk", partial(one_chunk, path, nframes)),
            ("fetch_video, 1 FFmpeg thread", partial(fetch_video, path, nframes, 1)),
            ("fetch_video, 8 (its default)", partial(fetch_video, path, nframes, 8)),
        ],
    )


def _alone(footage: Footage, allowed: float) -> Comparison:
    path = footage.made()
    return Comparison(
        f"{footage.name}: 2 of {footage.fps} frames a second, decoding alone. Asked: {allowed:g} of FFmpeg's CPU",
        [
            ("Longtake, the sampled frames as RGB", partial(planned_pictures, path, footage.fps // 2)),
            ("ffmpeg -threads 1 -f null, all frames", partial(raw_ffmpeg, path)),
        ],
        compare_frames=False,
    )


def compare(comparison: Comparison, rounds: int, console: Console) -> None:
    equal = _equal_shares(comparison) if comparison.compare_frames else {}
    methods = [Method(name, partial(_dropping, prepare)) for name, prepare in comparison.methods]
    with console.status(comparison.title):
        runs = interleaved(methods, rounds)
    table = Table(title=comparison.title)
    for heading in (
        "method",
        "CPU s",
        "wall s",
        "peak MB",
        "the job's",
        "ours / CPU",
        "ours / wall",
        "ours / peak",
        "ours / job's",
        "frames equal",
    ):
        table.add_column(heading, justify="left" if heading == "method" else "right")
    ours = runs[methods[0].name]
    for name, theirs in runs.items():
        table.add_row(
            name,
            f"{median_of(theirs, _cpu):.2f}",
            f"{median_of(theirs, _wall):.2f}",
            f"{median_of(theirs, _peak) / MB:.0f}",
            f"{median_of(theirs, _job) / MB:.0f}",
            *(f"{median_of(ours, what) / median_of(theirs, what):.2f}" for what in (_cpu, _wall, _peak, _job)),
            equal.get(name, ""),
        )
    console.print(table)


def _equal_shares(comparison: Comparison) -> dict[str, str]:
    """How many of the first method's frames each one has, bit for bit."""
    found = {name: result_of(Method(name, partial(_checking, prepare))) for name, prepare in comparison.methods}
    ours = found[comparison.methods[0][0]]
    return {name: f"{len(ours.items() & theirs.items())}/{len(theirs)}" for name, theirs in found.items()}


def _dropping(prepare: partial[Work]) -> partial[None]:
    return partial(prepare(), drop)


def _checking(prepare: partial[Work]) -> partial[dict[int, int]]:
    return partial(checksums, prepare())


def _cpu(run: Measured) -> float:
    return run.cpu_seconds


def _wall(run: Measured) -> float:
    return run.wall_seconds


def _peak(run: Measured) -> float:
    return run.peak_bytes


def _job(run: Measured) -> float:
    return run.peak_bytes - run.idle_bytes


if __name__ == "__main__":
    main()
