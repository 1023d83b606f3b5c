"""Chunker: from a source to the plan of its chunks."""

import asyncio
from collections import OrderedDict

from deployments.telemetry.metrics import SourceMetrics
from deployments.telemetry.tracing import stage
from pipeline.config import SourceSettings, VideoLimits
from pipeline.planning.chunking import plan_chunks
from pipeline.sources import VideoLibrary
from pipeline.types import NO_TRAIL, ChunkingRequest, ChunkPlan, TokenBudget, Trail, VideoSource
from pipeline.video.isolated_probing import IsolatedProbe
from pipeline.video.probing import ProbedVideo

PROBED_VIDEOS_KEPT = 32
"""A probed video is 24 bytes a frame: 8 MB for three hours at 30 frames per second."""


class Chunker:
    """Reads a video's packets and plans its chunks; no pixels."""

    def __init__(self, sources: SourceSettings, limits: VideoLimits, max_chunks: int) -> None:
        self._library = VideoLibrary(sources, on_fetched=SourceMetrics().fetched)
        self._limits = limits
        self._max_chunks = max_chunks
        self._probe_file = IsolatedProbe()
        self._probed: OrderedDict[str, ProbedVideo] = OrderedDict()

    async def plan(
        self, source: VideoSource, request: ChunkingRequest, budget: TokenBudget, trail: Trail = NO_TRAIL
    ) -> ChunkPlan:
        """Raises SourceError, VideoError or InvalidRequest for what cannot be analysed."""
        with stage("plan", trail) as planning:
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
            video = self._probed.pop(copy.fingerprint, None)
            if video is None:
                video = self._probe_file(
                    copy.file,
                    size_bytes=copy.size_bytes,
                    fingerprint=copy.fingerprint,
                    limits=self._limits,
                    fetch=copy.fetch,
                )
        self._probed[copy.fingerprint] = video
        while len(self._probed) > PROBED_VIDEOS_KEPT:
            self._probed.popitem(last=False)
        return video
