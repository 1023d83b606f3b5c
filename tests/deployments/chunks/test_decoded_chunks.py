"""The cache of decoded chunks: what it evicts, and what its metrics say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from deployments.chunks.decoded_chunks import DecodedChunks, chunk_key
from deployments.telemetry.decoding_metrics import FrameStoreMetrics
from tests.deployments.api.fakes import PLAN
from tests.deployments.telemetry.fake_metrics import FakeMetrics, recorded


@pytest.fixture
def metrics() -> Iterator[FakeMetrics]:
    with recorded() as metrics:
        yield metrics


@pytest.fixture
def decoded(metrics: FakeMetrics) -> DecodedChunks:
    return DecodedChunks(100, FrameStoreMetrics(1000, 100))


def response(name: str) -> Any:
    return name


def kept_bytes(metrics: FakeMetrics) -> float:
    return metrics.value("longtake_frames_bytes", use="kept")


def test_a_chunk_is_found_again(decoded: DecodedChunks, metrics: FakeMetrics) -> None:
    decoded.put("a", response("frames of a"), 40)
    assert decoded.get("a") == "frames of a"
    assert decoded.get("b") is None
    assert metrics.value("longtake_frame_cache_hits_total") == 1
    assert metrics.value("longtake_frame_cache_misses_total") == 1
    assert kept_bytes(metrics) == 40


def test_the_chunk_used_longest_ago_is_evicted(decoded: DecodedChunks, metrics: FakeMetrics) -> None:
    decoded.put("a", response("a"), 40)
    decoded.put("b", response("b"), 40)
    decoded.get("a")
    decoded.put("c", response("c"), 60)
    assert [decoded.get(key) for key in "abc"] == ["a", None, "c"]
    assert kept_bytes(metrics) == 100


def test_a_chunk_beyond_the_capacity_is_not_kept(decoded: DecodedChunks, metrics: FakeMetrics) -> None:
    decoded.put("a", response("a"), 40)
    decoded.put("b", response("b"), 101)
    assert (decoded.get("a"), decoded.get("b")) == ("a", None)
    decoded.put("a", response("larger now"), 101)
    assert decoded.get("a") is None
    assert kept_bytes(metrics) == 0


def test_a_chunk_is_replaced_and_dropped(decoded: DecodedChunks, metrics: FakeMetrics) -> None:
    decoded.put("a", response("a"), 40)
    decoded.put("a", response("again"), 70)
    assert (decoded.get("a"), kept_bytes(metrics)) == ("again", 70)
    decoded.drop("a")
    decoded.drop("a")
    assert (decoded.get("a"), kept_bytes(metrics)) == (None, 0)


def test_without_capacity_nothing_is_kept(metrics: FakeMetrics) -> None:
    decoded = DecodedChunks(0, FrameStoreMetrics(1000, 0))
    decoded.put("a", response("a"), 1)
    assert decoded.get("a") is None


def test_a_key_stands_for_frames_and_size_alone() -> None:
    chunk = PLAN.chunks[0]
    key = chunk_key(PLAN.video, chunk, None)
    assert key == chunk_key(PLAN.video, replace(chunk, index=5, pts_seconds=chunk.pts_seconds.copy()), None)
    different = [
        chunk_key(replace(PLAN.video, fingerprint="another file"), chunk, None),
        chunk_key(PLAN.video, replace(chunk, height_px=320), None),
        chunk_key(PLAN.video, replace(chunk, pts_seconds=np.array([0.0, 1.0])), None),
        chunk_key(PLAN.video, chunk, "a salt"),
    ]
    assert key not in different and len(set(different)) == len(different)
