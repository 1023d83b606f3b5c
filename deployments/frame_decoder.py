"""FrameDecoder: decodes a chunk of the plan into the patches that the engine takes."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import ray

from deployments.logs import logger
from deployments.serving.event_loops import EventLoopHealth
from deployments.serving.ray_errors import encodable_errors
from deployments.telemetry.decoding_metrics import DecoderMetrics, SourceMetrics
from deployments.telemetry.tracing import stage
from pipeline.config import DecodingSettings, SourceSettings
from pipeline.decoding.chunk_decoder import ChunkDecoder
from pipeline.decoding.isolated_backends import IsolatedBackends, decoding_process
from pipeline.decoding.patches import prepared_chunk
from pipeline.errors import ServiceError
from pipeline.isolation.process import Cancellation
from pipeline.sources import VideoLibrary
from pipeline.types import NO_TRAIL, Chunk, PreparedChunk, Trail, VideoInfo, VideoSource


class FrameDecoder(EventLoopHealth):
    """Decodes one chunk at a time, in a process of its own. With one decoder per process, FFmpeg's threads never
    compete with those of another decoder, and a file that crashes the decoder crashes nothing else.

    Serve may send two requests to a replica. The second waits here, so that no replica is idle while the router backs
    off (16 to 46 % busy with one request at a time, 97 % with two).
    """

    def __init__(self, sources: SourceSettings, decoding: DecodingSettings) -> None:
        if not ray.get_gpu_ids():  # Ray no longer hides GPUs from actors that reserve none
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        self._library = VideoLibrary(sources, on_fetched=SourceMetrics().count_fetched)
        self._process = decoding_process(group=ray.get_runtime_context().get_node_id())
        self._order = decoding.backend_order
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="decoder")
        self._metrics = DecoderMetrics()
        self._thread.submit(self._start)

    async def decode(
        self, source: VideoSource, video: VideoInfo, chunk: Chunk, trail: Trail = NO_TRAIL
    ) -> PreparedChunk:
        """Decode the chunk's frames into patches. The caller passes the reference on and never reads the patches.

        Raises DecodeFailed if no frame can be decoded, and SourceError if the video is gone or has changed. A
        cancelled call ends at once: FFmpeg cannot be interrupted, but its process can be killed.
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
        """Start the process early. Importing torch takes 4 to 9 s in the first decoder of a node."""
        try:
            self._process.start()
        except ServiceError:  # the first chunk retries, and reports a failure
            logger.exception("the decoding process did not start")

    def _decode(
        self, source: VideoSource, video: VideoInfo, chunk: Chunk, cancellation: Cancellation, trail: Trail
    ) -> PreparedChunk:
        try:
            with (
                encodable_errors(),
                stage("decode", trail) as decoding,  # starts here: the time in the queue is not decoding
                self._metrics.counting_failures(),
                self._library.open(source, expected_fingerprint=video.fingerprint) as copy,
                closing(IsolatedBackends(self._process, copy.file, video, copy.fetch, cancellation)) as backends,
            ):
                decoded = ChunkDecoder(backends, self._order).decode(chunk)
                self._metrics.count(decoded.report)
                decoding.set(
                    decoder=decoded.report.backend,
                    num_frames=decoded.report.num_frames,
                    missing_frames=len(decoded.report.missing_pts_seconds),
                )
                return prepared_chunk(decoded, video.fingerprint)
        finally:
            self._metrics.count_lost_workers(self._process.num_workers_lost)
