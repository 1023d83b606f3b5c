"""`make bench-gpu`: the graph on one GPU, beside what the GPU could do at best. The reference is an H200."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch
import yaml
from rich.console import Console
from rich.table import Table

from benchmarks.asking import Asked, ask_longtake
from benchmarks.footage import X264, Footage
from benchmarks.gpu_limits import KV_BYTES_PER_TOKEN, Limits, Workload
from benchmarks.large_model import write_model
from benchmarks.servers import LongtakeServer, longtake_server
from deployments.serving.embedded_server import SERVE_CONFIG

WORKLOADS = (
    Workload("10 s, about 9k tokens", 10.0, height_px=704, width_px=1280, completion_tokens=100),
    Workload("32 s, 640x352", 32.0, height_px=352, width_px=640, completion_tokens=100),
)
"""As the strongest peer cuts and looks at films, and as Longtake would."""
MINUTES = (1, 10, 60)
PEER_SECONDS = {1: 12.1, 10: 50.7, 60: 265.0}
"""Of its first workload, as published for one H100 that also held the model that merges; merging is in them."""
GOAL_SECONDS = {("10 s, about 9k tokens", 60): 150.0, ("32 s, 640x352", 60): 60.0}
QUANTIZATIONS = {
    "fp8_per_channel": Limits(kv_bytes_per_token=KV_BYTES_PER_TOKEN / 2),
    "none": Limits(linear_flops=790e12, weight_bytes=16.4e9),
}
"""By the engine's name for them: online, of the language model's and the vision tower's linear layers. With FP8 go keys
and values in FP8, as for the published checkpoint."""
CHUNKS_IN_FLIGHT = 96
"""More than the 64 that the engine writes about at once, so that it has the next ones when some are done."""
OBJECT_STORE_BYTES = 24 * 10**9
"""For 96 chunks of 54 MB in a third of it."""
CORES_FOR_THE_ENGINE = 2
SAMPLE_MILLISECONDS = 200
PROMPT = "What happens, and when?"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the graph on a GPU.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quantization", choices=tuple(QUANTIZATIONS), default="fp8_per_channel")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit(
            "make bench-gpu needs an NVIDIA GPU and the packages of requirements/cuda.txt (`make setup "
            "ACCELERATOR=cuda`); torch sees none here. The engine is measured on CPUs by `make bench-engine`."
        )
    console = Console(width=120)
    num_decoders = max(1, (os.cpu_count() or 1) - CORES_FOR_THE_ENGINE)
    console.print(
        f"{torch.cuda.get_device_name()}, {os.cpu_count()} cores, {num_decoders} decoders. Qwen3-VL-8B's shapes with "
        f"dummy weights, quantization {arguments.quantization}; films of 1280x720 at 30 frames a second in H.264, "
        f"2 a second looked at, 100 tokens written about each chunk, not merged. {arguments.rounds} rounds, medians."
    )
    with tempfile.TemporaryDirectory(prefix="longtake-bench-") as folder:
        args = serving_args(write_model(Path(folder) / "qwen3-vl-8b-shapes"), arguments.quantization)
        config_path = write_serve_config(Path(folder) / "serve_config.yaml", num_decoders)
        with (
            console.status("Starting the graph"),
            longtake_server(args, config_path=config_path, object_store_bytes=OBJECT_STORE_BYTES) as server,
        ):
            _run(server, WORKLOADS[0], _footage(MINUTES[0]))  # so that every process has done everything once
            runs: dict[tuple[Workload, int], list[Run]] = {
                (workload, minutes): [] for workload in WORKLOADS for minutes in MINUTES
            }
            for _ in range(arguments.rounds):
                for (workload, minutes), done in runs.items():
                    done.append(_run(server, workload, _footage(minutes)))
    console.print(_table(runs, QUANTIZATIONS[arguments.quantization]))


@dataclass(frozen=True)
class Run:
    """One film."""

    asked: Asked
    busy_shares: list[float] = field(repr=False)
    """Of the GPU's time, sampled."""


def serving_args(model: Path, quantization: str) -> dict[str, Any]:
    """Of the application: for one film at a time that is to fill the GPU."""
    engine_args: dict[str, Any] = {"load_format": "dummy"}
    if quantization != "none":
        engine_args |= {"quantization": quantization, "kv_cache_dtype": "fp8"}
    return {
        "model": str(model),
        "engine_args": engine_args,
        "analysis": {"chunks_in_flight": CHUNKS_IN_FLIGHT},
    }


def write_serve_config(path: Path, num_decoders: int) -> Path:
    """serve_config.yaml, with all decoders from the start: one that comes while a film is measured is no use to it."""
    config = yaml.safe_load(SERVE_CONFIG.read_text())
    for deployment in config["applications"][0]["deployments"]:
        scaling = deployment["autoscaling_config"]
        if deployment["name"] == "FrameDecoder":
            scaling |= {"min_replicas": num_decoders, "max_replicas": num_decoders}
        if deployment["name"] == "VisionLanguageModel":
            deployment["max_ongoing_requests"] = CHUNKS_IN_FLIGHT
    path.write_text(yaml.safe_dump(config))
    return path


def analysis_options(workload: Workload) -> Mapping[str, Any]:
    return {
        "chunk_duration": workload.chunk_seconds,
        "chunk_overlap": 0,
        "fps": workload.fps,
        "resized_height": workload.height_px,
        "resized_width": workload.width_px,
        "max_tokens": workload.completion_tokens,
        "aggregate": False,
        "seed": 0,
    }


def _footage(minutes: int) -> Path:
    return Footage(f"gpu_{minutes}min", 1280, 720, 30, 12.0, minutes * 60.0, X264, noise=4).made()


def _run(server: LongtakeServer, workload: Workload, video: Path) -> Run:
    """Under an id of its own, so that no cache knows it."""
    source = server.give(video)
    with _busy_shares() as shares:
        asked = ask_longtake(server.client, source, PROMPT, **analysis_options(workload))
    return Run(asked, shares)


@contextmanager
def _busy_shares() -> Iterator[list[float]]:
    """Filled when the block ends: the share of each sample in which a kernel ran."""
    command = ["nvidia-smi", "--id=0", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    sampler = subprocess.Popen(
        [*command, f"--loop-ms={SAMPLE_MILLISECONDS}"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
    )
    shares: list[float] = []
    try:
        yield shares
    finally:
        sampler.terminate()
        printed, _ = sampler.communicate()
        shares += [float(line) / 100 for line in printed.splitlines() if line.strip().isdigit()]


def _table(runs: Mapping[tuple[Workload, int], list[Run]], limits: Limits) -> Table:
    table = Table(
        title="Films on one GPU",
        caption="At best: as if all of the GPU's parts did what they can, 64 chunks written about at once. Peer: "
        "NVIDIA VSS 3.3, as published, on one H100 with merging. Busy: a kernel runs, however small.",
    )
    headings = "film min, seconds, goal, peer, video s/s, at best, share of it, busy, written, tokens a chunk"
    for heading in ("chunks", *headings.split(", ")):
        table.add_column(heading, justify="left" if heading == "chunks" else "right")
    for (workload, minutes), done in runs.items():
        seconds = median(run.asked.seconds for run in done)
        best = limits.video_seconds_per_second(workload)
        chunks = len(done[0].asked.chunks)
        goal, peer = GOAL_SECONDS.get((workload.name, minutes)), PEER_SECONDS[minutes]
        table.add_row(
            workload.name,
            str(minutes),
            f"{seconds:.1f}",
            f"{goal:.0f}" if goal else "",
            f"{peer:.1f}" if workload is WORKLOADS[0] else "",
            f"{minutes * 60 / seconds:.0f}",
            f"{best:.0f}",
            f"{minutes * 60 / seconds / best:.0%}",
            f"{median(mean(run.busy_shares) if run.busy_shares else 0.0 for run in done):.0%}",
            f"{median(run.asked.completion_tokens for run in done) / chunks:.0f}",
            f"{median(run.asked.prompt_tokens for run in done) / chunks:.0f}",
        )
    return table


if __name__ == "__main__":
    main()
