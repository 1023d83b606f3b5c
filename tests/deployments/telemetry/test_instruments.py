"""Gauges that keep their value, and the names of all metrics."""

from __future__ import annotations

import re
import time

from deployments.telemetry.decoding_metrics import FrameStoreMetrics
from pipeline.errors import LongtakeError
from tests.deployments.telemetry.fake_metrics import FakeMetrics, all_metrics


def test_gauges_go_on_saying_what_they_said(kept: FakeMetrics) -> None:
    """Ray forgets them."""
    store = FrameStoreMetrics(100, 50)
    store.set_in_flight(30)
    store.set_in_flight(20)
    kept.values.clear()
    until = time.monotonic() + 5
    while len(kept.values) < 3 and time.monotonic() < until:
        time.sleep(0.05)
    assert kept.value("longtake_frames_limit_bytes", use="in_flight") == 100
    assert kept.value("longtake_frames_limit_bytes", use="kept") == 50
    assert kept.value("longtake_frames_bytes", use="in_flight") == 20


def test_names_say_their_units() -> None:
    kinds = all_metrics().kinds
    assert len(kinds) > 25
    for name, kind in kinds.items():
        assert re.fullmatch(r"longtake(_[a-z]+)+", name)
        assert name.endswith("_total") == (kind == "counter")
        assert name.endswith("_seconds") == (kind == "histogram")


def test_labels_have_few_values() -> None:
    """An id or a URL among them would make a series of each."""
    assert {label for labels in all_metrics().label_names.values() for label in labels} == {
        "outcome", "type", "decoder", "use", "source", "stage",
    }  # fmt: skip
    # Other tests of this process may define classes of their own.
    ours = [error for error in LongtakeError.__subclasses__() if error.__module__ == LongtakeError.__module__]
    assert ours and all(re.fullmatch("[a-z_]+", error.type_name()) for error in ours)
