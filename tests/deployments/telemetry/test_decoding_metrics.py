"""Metrics of decoded frames, sources and decoders."""

from __future__ import annotations

import pytest

from deployments.telemetry.decoding_metrics import DecoderMetrics, FrameStoreMetrics, SourceMetrics
from pipeline.errors import DecodeFailed
from pipeline.isolation.process import WorkAborted
from tests.deployments.api.fakes import ANSWERED
from tests.deployments.telemetry.fake_metrics import FakeMetrics


def test_the_frame_store(kept: FakeMetrics) -> None:
    store = FrameStoreMetrics(100, 50)
    store.set_in_flight(30)
    store.set_kept(20)
    store.count_lookup(is_hit=True)
    store.count_lookup(is_hit=False)
    store.count_lookup(is_hit=False)
    assert kept.value("longtake_frames_limit_bytes", use="in_flight") == 100
    assert kept.value("longtake_frames_limit_bytes", use="kept") == 50
    assert kept.value("longtake_frames_bytes", use="in_flight") == 30
    assert kept.value("longtake_frames_bytes", use="kept") == 20
    assert kept.value("longtake_frame_cache_hits_total") == 1
    assert kept.value("longtake_frame_cache_misses_total") == 2


def test_sources(kept: FakeMetrics) -> None:
    sources = SourceMetrics()
    for source, num_bytes in (("http", 10), ("s3", 5), ("http", 0), ("http", 1)):
        sources.count_fetched(source, num_bytes)
    assert kept.value("longtake_source_fetched_bytes_total", source="http") == 11
    assert kept.value("longtake_source_fetched_bytes_total", source="s3") == 5


@pytest.mark.parametrize(
    ("error", "kind"),
    [(DecodeFailed("No picture."), "decode_failed"), (OSError(), "internal_error"), (WorkAborted(), None)],
)
def test_decoders(error: Exception, kind: str | None, kept: FakeMetrics) -> None:
    metrics = DecoderMetrics()
    with pytest.raises(type(error)), metrics.counting_failures():
        raise error
    assert [labels for name, labels in kept.values if name == "longtake_decoder_failures_total"] == (
        [(("type", kind),)] if kind else []
    )
    metrics.count_lost_workers(2)
    metrics.count_lost_workers(2)
    metrics.count_lost_workers(3)
    assert kept.value("longtake_decoder_workers_lost_total") == 3
    assert ANSWERED.text
    metrics.count(ANSWERED.text.decode)
    assert kept.observations("longtake_decoder_seconds", decoder="pyav") == [1.5]
