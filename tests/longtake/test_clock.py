"""How times are written for people."""

from __future__ import annotations

import pytest

from longtake.clock import clock, subtitle_clock


@pytest.mark.parametrize(
    ("seconds", "text", "subtitle"),
    [
        (0, "00:00", "00:00:00,000"),
        (59.9996, "00:59", "00:01:00,000"),
        (61.25, "01:01", "00:01:01,250"),
        (3661, "1:01:01", "01:01:01,000"),
    ],
)
def test_clock(seconds: float, text: str, subtitle: str) -> None:
    assert (clock(seconds), subtitle_clock(seconds, ",")) == (text, subtitle)
