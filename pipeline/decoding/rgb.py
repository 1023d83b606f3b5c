"""From FFmpeg's pictures to RGB, the way up that the file asks for."""

from __future__ import annotations

import av
import numpy as np
import torch
from av.video.reformatter import VideoReformatter


class RgbConverter:
    """Keeps FFmpeg's scaler from picture to picture."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, picture: av.VideoFrame) -> torch.Tensor:
        """(3, H, W) uint8."""
        rgb = self._reformatter.reformat(picture, format="rgb24", threads=1).to_ndarray()
        upright = np.rot90(rgb, k=round(picture.rotation / 90))
        return torch.from_numpy(np.ascontiguousarray(upright)).permute(2, 0, 1)
