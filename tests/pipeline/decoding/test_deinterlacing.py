"""Interlaced pictures become whole ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.decoding.deinterlacing import TimedPicture, deinterlaced
from tests.clips import GRID, ClipFolder
from tests.pipeline.decoding.chunks import decoded, planned
from tests.pipeline.decoding.treated import INTERLACED


def combing(frames: NDArray[np.uint8]) -> float:
    """How much lines differ from both of their neighbours, inside the cells, which are of one colour each."""
    num_frames, height, width, _ = frames.shape
    cells = frames.reshape(num_frames, GRID, height // GRID, width, 3).astype(float)[:, :, 4:-4]
    return float(np.abs(2 * cells[:, :, 1:-1] - cells[:, :, :-2] - cells[:, :, 2:]).mean())


def test_pictures_may_change_their_size() -> None:
    """A filter that was made for larger ones would read past their end."""
    sizes = [64, 64, 32, 128, 128, 128]
    pictures = [av.VideoFrame(size, size, "yuv420p") for size in sizes]
    for number, each in enumerate(pictures):
        each.pts, each.time_base = number, Fraction(1)

    def timed() -> Iterator[TimedPicture]:
        return ((float(number), each) for number, each in enumerate(pictures))

    assert [(seconds, each.width) for seconds, each in deinterlaced(timed())] == list(enumerate(sizes))


@pytest.mark.parametrize("name", INTERLACED)
def test_interlaced_pictures_are_no_longer_combed(name: str, clips: ClipFolder) -> None:
    path = clips.path(name)
    (chunk,) = planned(path, seconds=60.0).chunks
    (treated,) = decoded(path, (chunk,))
    (raw,) = decoded(path, (replace(chunk, treatment=replace(chunk.treatment, is_deinterlaced=False)),), "pyav")
    assert combing(treated.frames) < 0.3 * combing(raw.frames)
