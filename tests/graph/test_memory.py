"""Frames go from FrameDecoder to VisionLanguageModel, through nothing else; length costs no memory."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import httpx
import pytest
import ray
from ray._private.internal_api import memory_summary

from deployments.config import AnalysisSettings
from pipeline.planning.visual_tokens import DEFAULT_MAX_PIXELS, DEFAULT_MIN_PIXELS, smart_resize
from tests.graph.films import film
from tests.graph.processes import private_bytes, replicas

MB = 1024**2
SLACK_MB = 60
SAMPLING_SECONDS = 0.2
HEIGHT_PX, WIDTH_PX = smart_resize(96, 160, min_pixels=DEFAULT_MIN_PIXELS, max_pixels=DEFAULT_MAX_PIXELS)
BODY = {
    "prompt": "What happens?",
    "max_tokens": 4,
    "aggregate": False,
    "min_pixels": DEFAULT_MIN_PIXELS,
    "max_pixels": DEFAULT_MAX_PIXELS,
}


@pytest.mark.parametrize("minutes", [8, pytest.param(24, marks=pytest.mark.slow)])
def test_frames_pass_by_ingress_and_orchestrator(minutes: int, client: httpx.Client, media: Path) -> None:
    """A gigabyte of them in the longer film; in the shorter one five times what the two may grow by."""
    clip = film(media, f"{minutes}_minutes.mp4", seconds=minutes * 60)
    body = BODY | {"video_path": clip.name, "chunk_overlap": 0}
    before = _memory(["Ingress", "Orchestrator"])
    peaks, answer = _watched(list(before), lambda: _analyze(client, body))
    passed = answer["coverage"]["frames_used"] * WIDTH_PX * HEIGHT_PX * 3
    assert passed > 1000 * MB * minutes / 24, f"only {passed / MB:.0f} MB of frames passed"
    assert "Spilled" not in memory_summary(ray.get_runtime_context().gcs_address, stats_only=True)
    for deployment, peak in peaks.items():
        grown = (peak - before[deployment]) / MB
        assert grown < SLACK_MB, f"{deployment} grew by {grown:.0f} MB while {passed / MB:.0f} MB passed"


def test_three_hours_take_no_more_memory_than_two_minutes(client: httpx.Client, media: Path) -> None:
    stages = ["Ingress", "Orchestrator", "Chunker", "FrameDecoder", "VisionLanguageModel", "Aggregator"]
    short = film(media, "two_minutes.mp4", seconds=108)
    # As many frames at once as of the long film: 30 in a chunk, and more chunks than the window holds.
    sampling = {"chunk_duration": 12, "chunk_overlap": 0, "fps": 2.5}
    body = BODY | sampling | {"video_path": short.name}
    _analyze(client, body)
    of_short, _ = _watched(stages, lambda: _analyze(client, body))
    long = film(media, "three_hours.mp4", seconds=3 * 3600)
    sampling = {"chunk_duration": 300, "chunk_overlap": 0, "fps": 0.1}
    of_long, answer = _watched(stages, lambda: _analyze(client, BODY | sampling | {"video_path": long.name}))
    assert answer["num_chunks"] == answer["total_successful_chunks"] == 36
    assert answer["chunk_results"][-1]["end_time"] == pytest.approx(3 * 3600, abs=2)
    assert answer["coverage"]["uncovered"] == []
    # The engine's replica holds what waits there of a window of frames, copied, and that varies; it must not hold more.
    window_mb = AnalysisSettings().chunks_in_flight * 30 * WIDTH_PX * HEIGHT_PX * 3 / MB
    assert answer["coverage"]["frames_used"] * WIDTH_PX * HEIGHT_PX * 3 > 4 * window_mb * MB
    for deployment, peak in of_long.items():
        grown = (peak - of_short[deployment]) / MB
        allowed = SLACK_MB + (1.5 * window_mb if deployment == "VisionLanguageModel" else 0)
        assert grown < allowed, f"{deployment}: {grown:.0f} MB more than for two minutes"


def _analyze(client: httpx.Client, body: dict[str, Any]) -> dict[str, Any]:
    response = client.post("/v1/analyses", json=body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    assert answer["total_successful_chunks"] == answer["num_chunks"]
    return answer


def _watched(deployments: list[str], work: Callable[[], dict[str, Any]]) -> tuple[dict[str, int], dict[str, Any]]:
    """The peaks of `_memory` over `work`, and what it gives."""
    peaks = _memory(deployments)
    with ThreadPoolExecutor(max_workers=1) as pool:
        answer = pool.submit(work)
        while not answer.done():
            peaks = {name: max(peaks[name], num_bytes) for name, num_bytes in _memory(deployments).items()}
            wait([answer], timeout=SAMPLING_SECONDS)
    return peaks, answer.result()


def _memory(deployments: list[str]) -> dict[str, int]:
    """The private memory of each deployment's largest replica."""
    return {name: max(private_bytes(process) for process in replicas(name)) for name in deployments}
