"""Frames at the model's size."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate


def resize_frame(frame: NDArray[np.uint8], resized: NDArray[np.uint8]) -> None:
    """Writes (H, W, 3) RGB into `resized` (height, width, 3).

    `fetch_video`'s resize, bit for bit: what torchvision's functional.resize does to a tensor, without torchvision,
    whose import takes 3 s. One frame at a time, since its float32 temporaries then stay in the cache, where one call
    over the whole batch takes four times as long.
    """
    height_px, width_px, colours = resized.shape
    if frame.shape == resized.shape:  # nothing would change, in float32 either
        resized[...] = frame
    elif frame.shape[1] == width_px:
        # torch interpolates down the columns alone then, to which a row of pixels is a row of numbers: 3.0 ms for
        # 640x360 to 640x352, where three planes that are put together again take 4.9.
        rows = torch.from_numpy(frame).view(1, 1, -1, width_px * colours).float()
        resized.reshape(height_px, -1)[...] = _interpolated(rows, height_px, width_px * colours)[0, 0]
    else:
        # Planes, although they have to be taken apart: along the rows of interleaved pixels torch takes 31 ms for
        # 1920x1080 to 736x1080, along those of planes 22.
        planes = torch.from_numpy(frame).permute(2, 0, 1)[None].to(torch.float32, memory_format=torch.contiguous_format)
        for colour, plane in enumerate(_interpolated(planes, height_px, width_px)[0]):
            resized[..., colour] = plane


def _interpolated(pixels: torch.Tensor, height_px: int, width_px: int) -> NDArray[np.float32]:
    """(1, C, H, W) to (1, C, height_px, width_px), in whole numbers from 0 to 255."""
    size = (height_px, width_px)
    small = interpolate(pixels, size, mode="bicubic", align_corners=False, antialias=True)
    numbers: NDArray[np.float32] = small.clamp_(0, 255).round_().numpy()
    return numbers
