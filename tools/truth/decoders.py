"""What the engine says of the same frames when different decoders bring them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from deployments.config import AppSettings
from deployments.model_choice import DEMO_DEFAULTS, DEMO_MODEL, choose_model
from pipeline.config import DecodingSettings, VideoLimits
from pipeline.decoding.backends import InProcessBackends
from pipeline.decoding.chunk_decoder import ChunkDecoder
from pipeline.decoding.patches import prepared_chunk
from pipeline.planning.chunking import plan_chunks
from pipeline.planning.visual_tokens import DEFAULT_MIN_FRAMES, DEFAULT_TOTAL_PIXELS, MAX_FRAMES
from pipeline.types import (
    Chunk,
    ChunkingRequest,
    FrameSampling,
    Generation,
    Prompt,
    TokenBudget,
    TokenSampling,
)
from pipeline.video.probing import probe
from tools.demo_model.language import LIST_PROMPT, heard
from tools.truth.clips import Clip
from tools.truth.measure import FPS, MAX_TOKENS, Told

if TYPE_CHECKING:
    from deployments.engine.engine import Engine

GREEDY = TokenSampling(MAX_TOKENS, temperature=0.0, top_p=1.0, top_k=0, seed=0)


async def told_by_each_decoder(clips: Iterable[Clip], folder: Path) -> list[Told]:
    """Each clip by each backend, with an engine of its own."""
    choice = choose_model(AppSettings(model=str(DEMO_MODEL)), num_gpus=0, vllm_has_cuda=False)
    os.environ.update(choice.environment)
    from deployments.engine.engine import Engine  # noqa: PLC0415 - after vLLM's environment

    engine = Engine(choice.engine_args)
    try:
        return [
            await told_by(engine, backend, clip, folder)
            for clip in clips
            for backend in DecodingSettings().backend_order
        ]
    finally:
        engine.shutdown()


async def told_by(engine: Engine, backend: str, clip: Clip, folder: Path) -> Told:
    """What `engine` says of `clip`, as one chunk that `backend` alone decodes."""
    path = clip.written(folder)
    with closing(InProcessBackends(path)) as backends:
        frames = ChunkDecoder(backends, [backend]).decode(only_chunk(path))
    async for piece in engine.generate(Prompt(LIST_PROMPT), GREEDY, prepared_chunk(frames, path.name)):
        if isinstance(piece, Generation):
            return Told(clip, tuple(heard(piece.text)), {"decoder": frames.report.backend})
    raise AssertionError("a generation ends with its whole text")


def only_chunk(path: Path) -> Chunk:
    """The whole of a short video."""
    video = probe(path, fingerprint="", limits=VideoLimits())
    sampling = FrameSampling(
        fps=FPS,
        nframes=None,
        max_frames_per_chunk=MAX_FRAMES,
        min_pixels=DEMO_DEFAULTS.min_pixels,
        max_pixels=DEMO_DEFAULTS.max_pixels,
        total_pixels=DEFAULT_TOTAL_PIXELS,
        min_frames=DEFAULT_MIN_FRAMES,
    )
    request = ChunkingRequest(video.info.duration_seconds + 1, 0.0, 0.0, None, sampling)
    budget = TokenBudget(max_model_len=MAX_FRAMES * 100, text_tokens=0)
    plan = plan_chunks(video.info, video.pts_seconds, request, budget, max_chunks=1, packet_index=video.packet_index)
    return plan.chunks[0]
