"""The type of clocks, which tests replace."""

from __future__ import annotations

from collections.abc import Callable

Clock = Callable[[], float]
"""Returns Unix time in seconds, like `time.time`."""
