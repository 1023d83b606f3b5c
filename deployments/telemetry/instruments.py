"""What the metrics of every deployment are made of: buckets, and gauges that last.

Ray exports them at its Prometheus endpoint under `ray_` and adds labels for the deployment and the replica. All other
labels have few values, each of them Longtake's own: never an id, a URL or a client's text. Times are in seconds, sizes
in bytes; counters end in `_total`.
"""

import threading
import time
import weakref
from functools import cache

from ray.serve.metrics import Counter, Gauge

SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0]
"""Buckets for a stage of one chunk."""
LONG_SECONDS = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0]
"""Buckets for a whole analysis: hours of video take as long as minutes of them do chunks."""

REPUBLISH_SECONDS = 1.0
"""The shortest interval at which Ray's processes report."""


def increase(counter: Counter, number: float, tags: dict[str, str] | None = None) -> None:
    """Add `number` to `counter`. Ray refuses to add zero."""
    if number > 0:
        counter.inc(number, tags=tags)


class PersistentGauge:
    """A gauge that keeps its last value.

    Ray's own gauge disappears from the endpoint two reports after it was set (20 s by default), as if its process had
    died.
    """

    def __init__(self, name: str, description: str, tag_keys: tuple[str, ...] = ()) -> None:
        self._gauge = Gauge(name, description, tag_keys)
        self._values: dict[frozenset[tuple[str, str]], float] = {}
        _persistent_gauges.add(self)
        _start_republishing()

    def set(self, value: float, tags: dict[str, str] | None = None) -> None:
        self._values[frozenset((tags or {}).items())] = value
        self._gauge.set(value, tags=tags)

    def republish(self) -> None:
        for tags, value in list(self._values.items()):
            self._gauge.set(value, tags=dict(tags))


_persistent_gauges: weakref.WeakSet[PersistentGauge] = weakref.WeakSet()


@cache
def _start_republishing() -> threading.Thread:
    """Start the thread that republishes all gauges of this process; there is one per process."""

    def republish_all() -> None:
        while True:
            time.sleep(REPUBLISH_SECONDS)
            for gauge in list(_persistent_gauges):
                gauge.republish()

    thread = threading.Thread(target=republish_all, name="gauges", daemon=True)
    thread.start()
    return thread
