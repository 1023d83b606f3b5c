"""Frames are resized as `fetch_video` does it, bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import resize

from pipeline.decoding.resizing import resize_frame


@pytest.mark.parametrize(("height", "width"), [(352, 640), (96, 64), (416, 736), (272, 640), (272, 320), (96, 640)])
def test_resize_is_torchvisions_over_the_batch(height: int, width: int) -> None:
    batch = np.random.default_rng(0).integers(0, 256, (5, 272, 640, 3), np.uint8)
    planes = torch.from_numpy(batch).permute(0, 3, 1, 2)
    whole = resize(planes, [height, width], interpolation=InterpolationMode.BICUBIC, antialias=True)
    single = np.empty((5, height, width, 3), np.uint8)
    for frame, resized in zip(batch, single, strict=True):
        resize_frame(frame, resized)
    assert (single == whole.permute(0, 2, 3, 1).numpy()).all()


@pytest.mark.parametrize(("height", "width"), [(96, 64), (416, 736)])
def test_large_pictures_are_resized_colour_by_colour_to_the_same(height: int, width: int) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (2160, 3840, 3), np.uint8)
    whole = resize(
        torch.from_numpy(frame).permute(2, 0, 1),
        [height, width],
        interpolation=InterpolationMode.BICUBIC,
        antialias=True,
    )
    resized = np.empty((height, width, 3), np.uint8)
    resize_frame(frame, resized)
    assert (resized == whole.permute(1, 2, 0).numpy()).all()
