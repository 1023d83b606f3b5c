"""Resize frames to the model's size."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

_MOST_NUMBERS_AT_ONCE = 16 * 1024**2
"""Pictures of more numbers are resized colour by colour; these take 64 MB in float32, and 4K has more."""


def resize_frame(frame: NDArray[np.uint8], resized: NDArray[np.uint8]) -> None:
    """Resize (H, W, 3) RGB into `resized` (height, width, 3).

    Equal to `fetch_video`'s resize, bit for bit: the steps of torchvision's functional.resize on a tensor, without the
    3 s of importing torchvision. It takes one frame at a time, so that float32 temporaries stay in the cache; one call
    over the whole batch takes four times as long.
    """
    height_px, width_px, colours = resized.shape
    if frame.shape == resized.shape:  # resizing would change nothing, even in float32
        resized[...] = frame
    elif frame.shape[1] == width_px:
        # torch then interpolates along columns only, and a row of pixels is a row of numbers: 3.0 ms for 640x360 to
        # 640x352, against 4.9 ms for three planes.
        rows = torch.from_numpy(frame).view(1, 1, -1, width_px * colours).float()
        resized.reshape(height_px, -1)[...] = _interpolated(rows, height_px, width_px * colours)[0, 0]
    else:
        # Planes, although they must be separated: torch takes 31 ms along the rows of interleaved pixels for 1920x1080
        # to 736x1080, and 22 ms along the rows of planes.
        planes = torch.from_numpy(frame).permute(2, 0, 1)[None]
        # In float32, an 8K picture takes 400 MB; its colours one after the other take 133 MB, and the same time.
        at_once = colours if frame.size <= _MOST_NUMBERS_AT_ONCE else 1
        for first in range(0, colours, at_once):
            some = planes[:, first : first + at_once].to(torch.float32, memory_format=torch.contiguous_format)
            resized[..., first : first + at_once] = _interpolated(some, height_px, width_px)[0].transpose(1, 2, 0)


def _interpolated(pixels: torch.Tensor, height_px: int, width_px: int) -> NDArray[np.float32]:
    """Resize (1, C, H, W) to (1, C, height_px, width_px), in whole numbers from 0 to 255."""
    size = (height_px, width_px)
    small = interpolate(pixels, size, mode="bicubic", align_corners=False, antialias=True)
    numbers: NDArray[np.float32] = small.clamp_(0, 255).round_().numpy()
    return numbers
