"""FrameDecoder: from a chunk of the plan to its pixels as the engine takes them."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import ray

from deployments.logs import logger
from deployments.telemetry.metrics import DecoderMetrics, SourceMetrics
from deployments.telemetry.tracing import stage
from pipeline.config import DecodingSettings, SourceSettings
from pipeline.decoding.chunk_decoder import ChunkDecoder
from pipeline.decoding.isolated_backends import IsolatedBackends, decoding_process
from pipeline.decoding.patches import prepared_chunk
from pipeline.errors import ServiceError
from pipeline.isolation.process import Cancellation
from pipeline.sources import VideoLibrary
from pipeline.types import NO_TRAIL, Chunk, PreparedChunk, Trail, VideoInfo, VideoSource


class FrameDecoder:
    """Decodes one chunk at a time, in a process of its own: one decoder per process, so that FFmpeg never contends
    with itself, and a file that brings a decoder down brings down nothing else.

    Serve may hand a replica two requests; the second waits here, so that no replica stands idle while the router
    backs off (16 to 46 % busy with one request at a time, 97 % with two).
    """

    def __init__(self, sources: SourceSettings, decoding: DecodingSettings) -> None:
        if not ray.get_gpu_ids():  # Ray no longer hides GPUs from actors that asked for none
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        self._library = VideoLibrary(sources, on_fetched=SourceMetrics().fetched)
        self._process = decoding_process(group=ray.get_runtime_context().get_node_id())
        self._order = decoding.backend_order
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decoder")
        self._metrics = DecoderMetrics()
        self._thread.submit(self._start)

    async def decode(
        self, source: VideoSource, video: VideoInfo, chunk: Chunk, trail: Trail = NO_TRAIL
    ) -> PreparedChunk:
        """The chunk's frames, in patches. The caller hands the reference on and never reads it.

        Raises DecodeFailed when no frame can be had, SourceError when the video is gone or is another one by now.
        Cancelled, it ends within a moment: FFmpeg cannot be asked to stop, but its process can be killed.
        """
        cancellation = Cancellation()
        work = self._thread.submit(self._decode, source, video, chunk, cancellation, trail)
        try:
            return await asyncio.wrap_future(work)
        except asyncio.CancelledError:
            self._process.cancel(cancellation)
            raise

    def close(self) -> None:
        self._thread.shutdown(cancel_futures=True)
        self._process.close()

    def _start(self) -> None:
        """So that the first chunk need not wait for torch's import, 4 to 9 s on a node whose first decoder this is."""
        try:
            self._process.start()
        except ServiceError:  # the first chunk will try again, and tell its client
            logger.exception("no process to decode in yet")

    def _decode(
        self, source: VideoSource, video: VideoInfo, chunk: Chunk, cancellation: Cancellation, trail: Trail
    ) -> PreparedChunk:
        try:
            with (
                stage("decode", trail) as decoding,  # here and not where it is asked for: it may have to wait
                self._metrics.decoding(),
                self._library.open(source, expected_fingerprint=video.fingerprint) as copy,
                closing(IsolatedBackends(self._process, copy.file, video, copy.fetch, cancellation)) as backends,
            ):
                decoded = ChunkDecoder(backends, self._order).decode(chunk)
                self._metrics.decoded(decoded.report)
                decoding.set(
                    decoder=decoded.report.backend,
                    num_frames=decoded.report.num_frames,
                    missing_frames=len(decoded.report.missing_pts_seconds),
                )
                return prepared_chunk(decoded, video.fingerprint)
        finally:
            self._metrics.lost(self._process.num_workers_lost)
