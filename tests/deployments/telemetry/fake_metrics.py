"""Ray's metrics, kept in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from deployments.telemetry import analysis_metrics, chunk_metrics, decoding_metrics, instruments
from deployments.telemetry.analysis_metrics import AnalysisMetrics
from pipeline.analysis import AnalysisEvent

Labels = tuple[tuple[str, str], ...]


@dataclass
class FakeMetrics:
    """Everything that was made while `recorded` was open, and what was told to it."""

    kinds: dict[str, str] = field(default_factory=dict)
    label_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    values: dict[tuple[str, Labels], float] = field(default_factory=lambda: defaultdict(float))
    observed: dict[tuple[str, Labels], list[float]] = field(default_factory=lambda: defaultdict(list))

    def value(self, name: str, **labels: str) -> float:
        assert name in self.kinds, f"there is no {name}"
        return self.values.get((name, tuple(labels.items())), 0)

    def observations(self, name: str, **labels: str) -> list[float]:
        assert name in self.kinds, f"there is no {name}"
        return self.observed.get((name, tuple(labels.items())), [])

    def _declare(self, kind: str, name: str, label_names: tuple[str, ...]) -> None:
        assert name not in self.kinds, f"{name} is declared twice"
        self.kinds[name], self.label_names[name] = kind, label_names

    def _labels(self, name: str, tags: dict[str, str] | None) -> Labels:
        assert tuple(tags or ()) == self.label_names[name], f"{name} has other labels"
        return tuple((tags or {}).items())


@contextmanager
def recorded() -> Iterator[FakeMetrics]:
    """Keep whatever the metrics of `deployments.telemetry` make in this block."""
    kept = FakeMetrics()

    class Counter:
        def __init__(self, name: str, description: str, tag_keys: tuple[str, ...] = ()) -> None:
            self.name = name
            kept._declare("counter", name, tag_keys)

        def inc(self, value: float = 1.0, tags: dict[str, str] | None = None) -> None:
            assert value > 0, "Ray refuses it"
            kept.values[self.name, kept._labels(self.name, tags)] += value

    class Gauge:
        def __init__(self, name: str, description: str, tag_keys: tuple[str, ...] = ()) -> None:
            self.name = name
            kept._declare("gauge", name, tag_keys)

        def set(self, value: float, tags: dict[str, str] | None = None) -> None:
            kept.values[self.name, kept._labels(self.name, tags)] = value

    class Histogram:
        def __init__(
            self, name: str, description: str, boundaries: list[float], tag_keys: tuple[str, ...] = ()
        ) -> None:
            self.name = name
            assert boundaries == sorted(set(boundaries)) and boundaries[0] > 0, "Ray refuses them"
            kept._declare("histogram", name, tag_keys)

        def observe(self, value: float, tags: dict[str, str] | None = None) -> None:
            kept.observed[self.name, kept._labels(self.name, tags)].append(value)

    with pytest.MonkeyPatch.context() as patch:
        for kind in (Counter, Gauge, Histogram):
            for module in (analysis_metrics, chunk_metrics, decoding_metrics, instruments):
                patch.setattr(module, kind.__name__, kind, raising=False)
        yield kept


def all_metrics() -> FakeMetrics:
    """What all deployments declare."""
    with recorded() as kept:
        analysis_metrics.AnalysisMetrics()
        decoding_metrics.FrameStoreMetrics(1, 1)
        decoding_metrics.SourceMetrics()
        decoding_metrics.DecoderMetrics()
    return kept


def run(metrics: AnalysisMetrics, *events: AnalysisEvent | BaseException) -> None:
    """Count an analysis that has these events."""
    tally = metrics.tally()
    with tally.counting():
        for event in events:
            if isinstance(event, BaseException):
                raise event
            tally.count(event)
