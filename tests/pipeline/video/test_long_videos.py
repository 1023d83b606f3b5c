"""The memory that each process needs for a video of a day."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import psutil
import pytest

from pipeline.config import DecodingSettings, VideoLimits
from pipeline.decoding.chunk_decoder import ChunkDecoder
from pipeline.decoding.isolated_backends import IsolatedBackends, decoding_process
from pipeline.isolation.process import IsolatedProcess
from pipeline.planning.chunking import plan_chunks
from pipeline.types import Chunk, ChunkingRequest, ChunkPlan, DecodedFrames, FrameSampling, TokenBudget
from pipeline.video.isolated_probing import IsolatedProbe
from tests.clips import X264, ffmpeg
from tests.worker_hosts import forked_workers, worker_hosts

MB = 1024**2
MOST_PROCESS_MB = 800
"""Of resident memory, with all libraries and what is shared with others: of each process, and of both workers."""
MOST_ADDED_MB = 450
"""To the peaks of all processes together, beyond a video of a minute."""
MOST_KEPT_MB = 60
DAY_SECONDS, FPS = 24 * 3600, 25
REQUEST = ChunkingRequest(60.0, 0.0, 0.0, None, FrameSampling(2.0, None, 768, 4096, 65536, 10**8, 4))


@dataclass(frozen=True)
class Stages:
    """What Chunker and FrameDecoder do, on the same two processes."""

    probe: IsolatedProbe
    process: IsolatedProcess

    def middle_chunk(self, path: Path) -> tuple[ChunkPlan, Chunk, DecodedFrames]:
        steps = [time.monotonic()]
        video = self.probe(path, size_bytes=path.stat().st_size, fingerprint=path.name, limits=VideoLimits())
        steps.append(time.monotonic())
        plan = plan_chunks(
            video.info,
            video.pts_seconds,
            REQUEST,
            TokenBudget(10**9, 0),
            max_chunks=2000,
            packet_index=video.packet_index,
        )
        steps.append(time.monotonic())
        chunk = plan.chunks[len(plan.chunks) // 2]
        with closing(IsolatedBackends(self.process, path, video.info)) as backends:
            frames = ChunkDecoder(backends, DecodingSettings().backend_order).decode(chunk)
        steps.append(time.monotonic())
        seconds = [f"{stop - start:.1f}" for start, stop in pairwise(steps)]
        print(f"{path.name}: probed, planned and decoded in {', '.join(seconds)} s")
        return plan, chunk, frames


@pytest.fixture
def stages() -> Iterator[Stages]:
    stages = Stages(IsolatedProbe(), decoding_process())
    yield stages
    stages.probe.close()
    stages.process.close()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_a_day_takes_little_more_memory_than_a_minute(suffix: str, stages: Stages, tmp_path: Path) -> None:
    minute, day = tmp_path / f"minute.{suffix}", tmp_path / f"day.{suffix}"
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=size=64x48:rate={FPS}:duration=60", *X264, "-crf", "40", minute)
    ffmpeg("-stream_loop", str(DAY_SECONDS // 60 - 1), "-i", minute, "-c", "copy", day)
    stages.middle_chunk(minute)
    before = peaks_mb()
    plan, chunk, frames = stages.middle_chunk(day)
    after = peaks_mb()
    assert plan.video.total_frames == DAY_SECONDS * FPS
    assert len(plan.chunks) == DAY_SECONDS / 60
    assert frames.report.num_frames == 120
    assert frames.report.backend == "planned"
    assert chunk.start_seconds == pytest.approx(DAY_SECONDS / 2, abs=60)
    for pid, peak in after.items():
        print(f"{name_of(pid)}: {peak:.0f} MB at most, {before[pid]:.0f} before, {resident_mb(pid):.0f} now")
    assert max(after[pid] for pid in after if pid != psutil.Process().pid) < MOST_PROCESS_MB
    assert sum(peak for pid, peak in after.items() if name_of(pid).startswith("worker")) < MOST_PROCESS_MB
    assert sum(after.values()) - sum(before.values()) < MOST_ADDED_MB
    (prober,) = (pid for pid in after if name_of(pid) == "worker of ProbeWorker")
    assert resident_mb(prober) < before[prober] + MOST_KEPT_MB, "what it needed no more was not given back"


def peaks_mb() -> dict[int, float]:
    """The largest resident size so far of this process and of those that it has work for it, by pid."""
    ours = (psutil.Process(), *worker_hosts(), *forked_workers())
    return {process.pid: status_mb(process.pid, "VmHWM") for process in ours}


def resident_mb(pid: int) -> float:
    return status_mb(pid, "VmRSS")


def status_mb(pid: int, key: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:")) * 1024 / MB


def name_of(pid: int) -> str:
    process = psutil.Process(pid)
    command = " ".join(process.cmdline())
    if "pipeline.isolation.host" not in command:
        return "this process"
    role = "host" if process in worker_hosts() else "worker"
    return f"{role} of {'ProbeWorker' if 'ProbeWorker' in command else 'DecodeWorker'}"
