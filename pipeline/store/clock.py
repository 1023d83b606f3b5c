"""What time it is."""

from __future__ import annotations

from collections.abc import Callable

Clock = Callable[[], float]
"""Unix time in seconds, as `time.time`."""
