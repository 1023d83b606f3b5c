"""How much of its time a pool of FrameDecoder replicas decodes, while their frames travel through Ray."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path

import numpy as np
from ray import serve

from benchmarks.footage import FOLDER
from deployments.frame_decoder import FrameDecoder
from deployments.serving.embedded_server import embedded_ray
from pipeline.config import DecodingSettings, SourceSettings, VideoLimits
from pipeline.planning.chunking import plan_chunks
from pipeline.planning.visual_tokens import DEFAULT_MAX_PIXELS, DEFAULT_MIN_PIXELS, DEFAULT_TOTAL_PIXELS
from pipeline.sources import VideoLibrary
from pipeline.types import ChunkingRequest, ChunkPlan, FrameSampling, LocalVideo, TokenBudget
from pipeline.video.probing import probe

NUM_CHUNKS = 100
REQUESTS_PER_REPLICA = 2
"""As in serve_config.yaml: one is decoded, one waits there."""


def busy_share(path: Path, num_replicas: int) -> tuple[float, float]:
    """(share of the replicas' time inside the decoder, wall seconds) over a hundred chunks of `path`."""
    sources = SourceSettings(media_roots=(FOLDER,))
    source = LocalVideo(path.name)
    plan = _planned(path, sources, source)
    deployment = serve.deployment(
        FrameDecoder,
        num_replicas=num_replicas,
        max_ongoing_requests=REQUESTS_PER_REPLICA,
        ray_actor_options={"num_cpus": 1},
    )
    with embedded_ray():
        decode = serve.run(deployment.bind(sources, DecodingSettings()), name="decoders", route_prefix=None).decode
        for _ in range(4 * num_replicas):  # until each has its worker
            decode.remote(source, plan.video, plan.chunks[0]).result()
        started = time.perf_counter()
        decode_seconds = 0.0
        under_way = deque(
            decode.remote(source, plan.video, chunk) for chunk in plan.chunks[: num_replicas * REQUESTS_PER_REPLICA]
        )
        for chunk in [*plan.chunks[len(under_way) :], *[None] * len(under_way)]:
            decode_seconds += under_way.popleft().result().report.decode_seconds
            if chunk is not None:
                under_way.append(decode.remote(source, plan.video, chunk))
        wall_seconds = time.perf_counter() - started
    return decode_seconds / (wall_seconds * num_replicas), wall_seconds


def _planned(path: Path, sources: SourceSettings, source: LocalVideo) -> ChunkPlan:
    with VideoLibrary(sources).open(source) as copy:
        video = probe(path, fingerprint=copy.fingerprint, limits=VideoLimits())
    sampling = FrameSampling(2.0, None, 768, DEFAULT_MIN_PIXELS, DEFAULT_MAX_PIXELS, DEFAULT_TOTAL_PIXELS, 4)
    seconds = video.info.duration_seconds / NUM_CHUNKS
    request = ChunkingRequest(float(np.ceil(seconds * 100) / 100), 0.0, 0.0, None, sampling)
    return plan_chunks(
        video.info,
        video.pts_seconds,
        request,
        TokenBudget(10**9, 0),
        max_chunks=2 * NUM_CHUNKS,
        packet_index=video.packet_index,
    )
