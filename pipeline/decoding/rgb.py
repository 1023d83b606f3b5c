"""Convert FFmpeg's pictures to RGB, with the file's rotation applied."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from pipeline.decoding.tone_mapping import tone_mapped
from pipeline.types import HdrTransfer


class RgbConverter:
    """Converts pictures, and reuses FFmpeg's scaler."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, picture: av.VideoFrame, hdr_transfer: HdrTransfer | None = None) -> NDArray[np.uint8]:
        """(H, W, 3), tone-mapped to SDR if `hdr_transfer` is set."""
        if hdr_transfer:
            rgb = tone_mapped(self._array(picture, "rgb48le"), hdr_transfer)
        else:
            rgb = self._array(picture, "rgb24")
        return np.ascontiguousarray(np.rot90(rgb, k=round(picture.rotation / 90)))

    def _array(self, picture: av.VideoFrame, pixel_format: str) -> NDArray[Any]:
        return self._reformatter.reformat(picture, format=pixel_format, threads=1).to_ndarray()
