"""Times as people write them."""

from __future__ import annotations


def clock(seconds: float) -> str:
    """`MM:SS`, or `H:MM:SS` from an hour on."""
    hours, minutes, rest = _split(int(seconds))
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def subtitle_clock(seconds: float, mark: str) -> str:
    """`HH:MM:SS,mmm`, with `mark` before the thousandths: a comma in SRT, a point in WebVTT."""
    whole, thousandths = divmod(round(seconds * 1000), 1000)
    hours, minutes, rest = _split(whole)
    return f"{hours:02}:{minutes:02}:{rest:02}{mark}{thousandths:03}"


def _split(seconds: int) -> tuple[int, int, int]:
    minutes, rest = divmod(seconds, 60)
    return *divmod(minutes, 60), rest
