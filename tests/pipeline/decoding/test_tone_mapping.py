"""HDR looks like SDR."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.decoding.tone_mapping import tone_mapped
from pipeline.types import Chunk, DecodedFrames, HdrTransfer
from tests.clips import TREATED_CLIPS, ClipFolder, picture
from tests.pipeline.decoding.chunks import decoded, planned
from tests.pipeline.decoding.treated import untreated


def colour_error(name: str, chunk: Chunk, result: DecodedFrames) -> float:
    """How far the colours are from those that were drawn."""
    clip = TREATED_CLIPS[name]
    _, height, width, _ = result.frames.shape
    drawn = [picture(clip.number(index), width, height) for index in chunk.frame_indices.tolist()]
    assert not clip.quarter_turns
    return float(np.abs(result.frames.astype(float) - drawn).mean())


@pytest.mark.parametrize("name", ["pq", "hlg"])
def test_hdr_looks_like_the_sdr_that_it_was(name: str, clips: ClipFolder) -> None:
    path = clips.path(name)
    (chunk,) = planned(path, seconds=60.0).chunks
    (treated,) = decoded(path, (chunk,))
    for backend in ("pyav", "torchcodec"):
        (raw,) = decoded(path, (untreated(chunk),), backend)
        assert colour_error(name, chunk, treated) < 0.6 * colour_error(name, chunk, raw)
    assert colour_error(name, chunk, treated) < 15


def pq_numbers(nits: NDArray[np.float64]) -> NDArray[np.uint16]:
    """(N,) to (1, N, 3) grey, by ST 2084's inverse EOTF."""
    power = (nits / 10_000) ** 0.1593017578125
    numbers = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    return np.repeat(np.round(numbers * 65535).astype(np.uint16)[None, :, None], 3, axis=2)


def test_brightness_keeps_its_order_up_to_a_thousand_nits() -> None:
    nits = np.array([0, 0.05, 1, 10, 50, 101, 150, 203, 300, 400, 600, 800, 1000, 4000, 10_000])
    (greys,) = tone_mapped(pq_numbers(nits), HdrTransfer.PQ)
    assert np.ptp(greys, axis=1).max() <= 1  # still grey
    levels = greys[:, 1].astype(int)
    assert (np.diff(levels[:13]) > 0).all()
    assert levels[0] == 0
    assert levels[12:].tolist() == [255, 255, 255]
    sdr = (nits[1:6] / 203) ** (1 / 2.4) * 255
    assert np.abs(levels[1:6] - sdr).max() <= 1  # what SDR has as well is what it is in SDR
    assert 220 <= levels[7] <= 235
