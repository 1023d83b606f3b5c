"""The engine's progress: the time since its last step while requests are running."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Progress:
    """Measures how long a busy engine has finished no step.

    A step may produce no token: the prefill of a long prompt takes several before the first.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._num_under_way = 0
        self._last_step = 0.0

    @contextmanager
    def working(self) -> Iterator[None]:
        """Count a request while the block runs."""
        if not self._num_under_way:
            self._last_step = self._clock()
        self._num_under_way += 1
        try:
            yield
        finally:
            self._num_under_way -= 1

    def step(self) -> None:
        """Record that the engine has finished a step."""
        self._last_step = self._clock()

    @property
    def stalled_seconds(self) -> float:
        """Seconds since the last step; 0 for an idle engine."""
        return self._clock() - self._last_step if self._num_under_way else 0.0
