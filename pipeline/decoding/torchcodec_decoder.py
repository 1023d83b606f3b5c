"""The torchcodec backend: exact frames, decoded on a core or by a GPU's decoder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from torchcodec.decoders import VideoDecoder

from pipeline.decoding.chunk_decoder import PTS_TOLERANCE_SECONDS
from pipeline.decoding.ffmpeg_errors import restore_torchcodec_log
from pipeline.errors import DecodeFailed
from pipeline.types import Chunk
from pipeline.video.video_files import VideoFile

BLOCK_BYTES = 64 * 1024**2
"""Source pictures per call: keeps memory near the size of the result instead of the source."""

# The errors that torchcodec 0.17 raised over 902 damaged files; JSONDecodeError is a ValueError.
_ERRORS = (RuntimeError, ValueError, IndexError)


class TorchcodecDecoder:
    """Decodes in exact mode: a scan of the file finds every frame's time, so that indices agree with the plan.

    `approximate` is not faster, and returns other frames for videos of variable frame rate.
    """

    def __init__(self, video: VideoFile, device: Literal["cpu", "cuda"] = "cpu") -> None:
        # Over an open file: given bytes or a file-like object, torchcodec crashed on none of 902 damaged files, and no
        # manifest can redirect it to another file.
        self._file = video.open("rb")
        try:
            self._decoder = VideoDecoder(
                self._file, seek_mode="exact", num_ffmpeg_threads=1, device=device, dimension_order="NHWC"
            )
        except _ERRORS as error:
            self._file.close()
            where = "" if device == "cpu" else f" on {device}"
            raise DecodeFailed(f"torchcodec cannot open the video{where}") from error
        finally:
            restore_torchcodec_log()

    def frames(self, chunk: Chunk) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        if len(chunk.frame_indices) and int(chunk.frame_indices.max()) >= len(self._decoder):
            raise DecodeFailed(f"torchcodec counts only {len(self._decoder)} frames in the video")
        for places in np.array_split(np.arange(chunk.num_frames), self._num_blocks(chunk)):
            yield from self._block(chunk, places)

    def close(self) -> None:
        self._file.close()

    def _num_blocks(self, chunk: Chunk) -> int:
        metadata = self._decoder.metadata
        picture_bytes = (metadata.width or 1) * (metadata.height or 1) * 3
        per_block = max(1, BLOCK_BYTES // picture_bytes)
        return -(-chunk.num_frames // per_block)

    def _block(self, chunk: Chunk, places: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        try:
            batch = self._decoder.get_frames_at(chunk.frame_indices[places].tolist())
        except _ERRORS:
            if len(places) == 1:
                return
            # One bad packet fails the whole call; halving isolates the good frames.
            for half in np.array_split(places, 2):
                yield from self._block(chunk, half)
            return
        planned = chunk.pts_seconds[places] + chunk.clock_offset_seconds
        if np.abs(batch.pts_seconds.cpu().numpy() - planned).max() > PTS_TOLERANCE_SECONDS:
            raise DecodeFailed("torchcodec counts the video's frames in another way")
        yield from zip(places.tolist(), batch.data.cpu().numpy(), strict=True)
