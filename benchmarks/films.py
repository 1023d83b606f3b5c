"""Films that the embedded model can be asked about, each drawn and encoded once."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from benchmarks.footage import FOLDER
from tools.demo_model.scenes import Split, random_film
from tools.truth.clips import Clip

WIDTH_PX, HEIGHT_PX, FPS = 640, 360, 25
MINUTE_SECONDS, LONG_SECONDS = 60.0, 600.0


def film(seed: int, seconds: float) -> Path:
    """A camera's size and rate, so that decoding is worth measuring. Another seed shows other scenes."""
    shown = random_film(Split.DEMO, seed, width_px=WIDTH_PX, height_px=HEIGHT_PX, duration_seconds=seconds)
    return Clip(f"film-{seed}-{seconds:g}s", shown, "h264", Fraction(FPS)).written(FOLDER)
