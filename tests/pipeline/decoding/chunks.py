"""Chunks of test videos: how tests plan them, decode them and read the numbers in their frames."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np

from pipeline.config import DecodingSettings, VideoLimits
from pipeline.decoding.backends import BACKENDS, InProcessBackends
from pipeline.decoding.chunk_decoder import TORCHCODEC_CUDA, ChunkDecoder
from pipeline.decoding.isolated_backends import IsolatedBackends
from pipeline.isolation.process import IsolatedProcess
from pipeline.planning.chunking import plan_chunks
from pipeline.planning.visual_tokens import DEFAULT_MAX_PIXELS, DEFAULT_MIN_PIXELS, DEFAULT_TOTAL_PIXELS
from pipeline.types import Chunk, ChunkingRequest, ChunkPlan, DecodedFrames, FrameSampling, TokenBudget
from pipeline.video.probing import probe
from tests.clips import CLIPS, number_of

ORDER = DecodingSettings().backend_order
ON_CPU = [backend for backend in BACKENDS if backend != TORCHCODEC_CUDA]
SMALL = FrameSampling(6.0, None, 768, 32 * 32, 64 * 1024, DEFAULT_TOTAL_PIXELS, 4)
QWENS = FrameSampling(2.0, None, 768, DEFAULT_MIN_PIXELS, DEFAULT_MAX_PIXELS, DEFAULT_TOTAL_PIXELS, 4)


def planned(path: Path, seconds: float = 1.5, overlap: float = 0.3, sampling: FrameSampling = SMALL) -> ChunkPlan:
    video = probe(path, fingerprint="bytes", limits=VideoLimits())
    request = ChunkingRequest(seconds, overlap, 0.0, None, sampling)
    budget = TokenBudget(10**7, 1000)
    return plan_chunks(video.info, video.pts_seconds, request, budget, max_chunks=1000, packet_index=video.packet_index)


def decoded(path: Path, chunks: tuple[Chunk, ...], *order: str) -> list[DecodedFrames]:
    with closing(InProcessBackends(path)) as backends:
        decoder = ChunkDecoder(backends, order or ORDER)
        return [decoder.decode(chunk) for chunk in chunks]


def decoded_apart(path: Path, plan: ChunkPlan, process: IsolatedProcess) -> list[DecodedFrames]:
    with closing(IsolatedBackends(process, path, plan.video)) as backends:
        return [ChunkDecoder(backends, ORDER).decode(chunk) for chunk in plan.chunks]


def check_numbers(name: str, chunk: Chunk, result: DecodedFrames) -> None:
    clip = CLIPS[name]
    numbers = [number_of(picture, clip.quarter_turns) for picture in result.frames]
    assert numbers == (chunk.frame_indices + clip.first_number).tolist()
    assert result.report.missing_pts_seconds == ()
    assert result.report.num_frames == chunk.num_frames
    assert result.frames.shape == (chunk.num_frames, chunk.height_px, chunk.width_px, 3)
    assert result.frames.dtype == np.uint8
