"""What the engine's process spends on the pixels of one chunk, by Longtake's way and by vLLM's own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from statistics import median

import numpy as np

from deployments.config import AppSettings
from deployments.model_choice import DEMO_MODEL, choose_model
from pipeline.decoding.patches import prepared_chunk
from pipeline.types import DecodedFrames, DecodeReport, Prompt

NUM_FRAMES, HEIGHT_PX, WIDTH_PX = 200, 256, 448
PROMPT = Prompt("What happens?", system="Be brief.")
SECONDS_BETWEEN_FRAMES = 0.5


@dataclass(frozen=True)
class PixelPath:
    """Medians, in CPU milliseconds of the engine's process for one chunk, all its threads together."""

    ours: float
    ours_new_times: float
    """Where the chunk's times are new to the tokenizer, as with the first question about a chunk."""
    vllms: float
    patches: float
    """What making patches takes, beside the decoder."""
    num_bytes: int


def pixel_path(rounds: int) -> Callable[[], PixelPath]:
    """Imports vLLM: for a process of its own."""
    choice = choose_model(AppSettings(model=str(DEMO_MODEL)), num_gpus=0, vllm_has_cuda=False)
    os.environ.update(choice.environment, VLLM_LOGGING_LEVEL="ERROR")
    import torch  # noqa: PLC0415

    from benchmarks.vllm_rendering import rendered, vllm_renderer  # noqa: PLC0415
    from deployments.engine.inputs import EngineInputs  # noqa: PLC0415

    torch.set_num_threads(1)
    renderer = vllm_renderer(choice)
    inputs = EngineInputs(renderer.get_tokenizer())

    def work() -> PixelPath:
        spent: list[tuple[float, float, float, float]] = []
        for of_round in range(rounds + 1):  # one to warm up
            frames = _noise(of_round)
            chunk = prepared_chunk(frames, "bytes")
            ours = partial(inputs.video, PROMPT, chunk)
            vllms = partial(rendered, renderer, frames, PROMPT)
            patching = partial(prepared_chunk, frames, "bytes")
            spent.append((_cpu_ms(ours), _cpu_ms(ours), _cpu_ms(vllms), _cpu_ms(patching)))
        new_times, again, vllms_own, patches = (median(column) for column in zip(*spent[1:], strict=True))
        return PixelPath(again, new_times, vllms_own, patches, frames.frames.nbytes)

    return work


def _noise(of_round: int) -> DecodedFrames:
    """Of each round its own times; the pixels need not differ, nothing here looks at them."""
    frames = np.random.default_rng(0).integers(0, 256, (NUM_FRAMES, HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8)
    pts_seconds = np.arange(NUM_FRAMES, dtype=np.float64) * SECONDS_BETWEEN_FRAMES + of_round * NUM_FRAMES
    return DecodedFrames(frames, pts_seconds, DecodeReport(NUM_FRAMES, (), "none", None, 0.0))


def _cpu_ms(act: Callable[[], object]) -> float:
    started = time.process_time()
    act()
    return (time.process_time() - started) * 1000
