"""Decoded frames of noise, for tests of what comes after decoding."""

from __future__ import annotations

import numpy as np

from pipeline.types import DecodedFrames, DecodeReport


def frames_of(num_frames: int, height_px: int, width_px: int) -> DecodedFrames:
    noise = np.random.default_rng(0).integers(0, 256, (num_frames, height_px, width_px, 3), dtype=np.uint8)
    pts = np.arange(num_frames, dtype=np.float64) * 0.5137 + 3599.7
    return DecodedFrames(noise, pts, DecodeReport(num_frames, (), "none", None, 0.0))
