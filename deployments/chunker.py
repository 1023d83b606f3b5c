"""Chunker: plans the chunks of a video."""

import asyncio
import threading

from cachetools import LRUCache

from deployments.serving.event_loops import EventLoopHealth
from deployments.serving.ray_errors import encodable_errors
from deployments.telemetry.decoding_metrics import SourceMetrics
from deployments.telemetry.tracing import stage
from pipeline.config import SourceSettings, VideoLimits
from pipeline.planning.chunking import plan_chunks
from pipeline.sources import VideoLibrary
from pipeline.types import NO_TRAIL, ChunkingRequest, ChunkPlan, TokenBudget, Trail, VideoSource
from pipeline.video.isolated_probing import IsolatedProbe
from pipeline.video.probing import ProbedVideo

MAX_PROBED_VIDEOS = 32
"""A probed video takes 24 bytes per frame: 8 MB for three hours at 30 frames per second."""


class Chunker(EventLoopHealth):
    """Reads a video's packets, never its pixels, and plans its chunks."""

    def __init__(self, sources: SourceSettings, limits: VideoLimits, max_chunks: int) -> None:
        self._library = VideoLibrary(sources, on_fetched=SourceMetrics().count_fetched)
        self._limits = limits
        self._max_chunks = max_chunks
        self._probe_file = IsolatedProbe()
        self._probed: LRUCache[str, ProbedVideo] = LRUCache(MAX_PROBED_VIDEOS)
        self._probed_lock = threading.Lock()

    async def plan(
        self, source: VideoSource, request: ChunkingRequest, budget: TokenBudget, trail: Trail = NO_TRAIL
    ) -> ChunkPlan:
        """Plan the chunks. Raises SourceError, VideoError or InvalidRequest if the video cannot be analyzed."""
        with encodable_errors(), stage("plan", trail) as planning:
            plan = await asyncio.to_thread(self._plan, source, request, budget)
            planning.set(num_chunks=len(plan.chunks), video_seconds=plan.video.duration_seconds, codec=plan.video.codec)
            return plan

    def _plan(self, source: VideoSource, request: ChunkingRequest, budget: TokenBudget) -> ChunkPlan:
        video = self._probe(source)
        return plan_chunks(
            video.info,
            video.pts_seconds,
            request,
            budget,
            max_chunks=self._max_chunks,
            packet_index=video.packet_index,
        )

    def _probe(self, source: VideoSource) -> ProbedVideo:
        with self._library.open(source) as copy:
            with self._probed_lock:
                video = self._probed.get(copy.fingerprint)
            if video is None:
                video = self._probe_file(
                    copy.file,
                    size_bytes=copy.size_bytes,
                    fingerprint=copy.fingerprint,
                    limits=self._limits,
                    fetch=copy.fetch,
                )
        with self._probed_lock:
            self._probed[copy.fingerprint] = video
        return video
