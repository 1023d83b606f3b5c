"""FrameDecoder: from a chunk of the plan to its frames."""

import asyncio
import os
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import ray

from pipeline.config import SourceSettings
from pipeline.sources import VideoLibrary
from pipeline.types import Chunk, DecodedFrames, VideoSource

if TYPE_CHECKING:
    from pipeline.decoding import ChunkDecoder

OPEN_VIDEOS_KEPT = 2
"""An open decoder spares the next chunk of its video the scan of the file."""


class FrameDecoder:
    """Decodes one chunk at a time: one decoder per process, so that FFmpeg never contends with itself.

    Serve may hand a replica two requests; the second waits here, so that no replica stands idle while the router
    backs off (16 to 46 % busy with one request at a time, 97 % with two).
    """

    def __init__(self, sources: SourceSettings) -> None:
        if not ray.get_gpu_ids():  # Ray no longer hides GPUs from actors that asked for none
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        # torchcodec takes 6 s to import, which whoever builds the graph need not wait for.
        import torch  # noqa: PLC0415

        from pipeline.decoding import default_chunk_decoder  # noqa: PLC0415

        torch.set_num_threads(1)
        self._chunk_decoder = default_chunk_decoder
        self._library = VideoLibrary(sources)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decoder")
        self._open: OrderedDict[str, tuple[ChunkDecoder, ExitStack]] = OrderedDict()

    async def decode(self, source: VideoSource, fingerprint: str, chunk: Chunk) -> DecodedFrames:
        """The chunk's frames. The caller hands the reference on and never reads it.

        Raises DecodeFailed when no frame can be had, SourceError when the video is gone or is another one by now.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._decode, source, fingerprint, chunk)

    def _decode(self, source: VideoSource, fingerprint: str, chunk: Chunk) -> DecodedFrames:
        return self._decoder(source, fingerprint).decode(chunk)

    def _decoder(self, source: VideoSource, fingerprint: str) -> "ChunkDecoder":
        if fingerprint not in self._open:
            self._open[fingerprint] = self._opened(source, fingerprint)
            while len(self._open) > OPEN_VIDEOS_KEPT:
                _, (_, resources) = self._open.popitem(last=False)
                resources.close()
        self._open.move_to_end(fingerprint)
        return self._open[fingerprint][0]

    def _opened(self, source: VideoSource, fingerprint: str) -> tuple["ChunkDecoder", ExitStack]:
        with ExitStack() as resources:
            copy = resources.enter_context(self._library.open(source, expected_fingerprint=fingerprint))
            decoder = self._chunk_decoder(copy.path)
            resources.callback(decoder.close)
            return decoder, resources.pop_all()
