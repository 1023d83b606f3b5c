"""`python -m tests.deployments.engine.engine_answers SETTINGS`: what the demo model says with these settings, as JSON.

In a process of its own, since two engines in one share their environment.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

import numpy as np

from deployments.config import AppSettings
from deployments.model_choice import DEMO_MODEL, choose_model
from pipeline.decoding.patches import prepared_chunk
from pipeline.types import DecodedFrames, DecodeReport, Generation, PreparedChunk, Prompt, TokenSampling
from tools.demo_model.language import LIST_PROMPT
from tools.demo_model.scenes import Renderer, Split, random_film

GREEDY = TokenSampling(max_tokens=64, temperature=0.0, top_p=1.0, top_k=0, seed=0, num_logprobs=3)
SEEDS = (30_001, 30_002)


def filmed(seed: int) -> PreparedChunk:
    """Half a minute at two frames a second: two segments."""
    film = random_film(Split.TEST, seed, width_px=96, height_px=96, duration_seconds=40)
    pts = np.arange(0, 30, 0.5)
    renderer = Renderer(96, 96)
    shown = [next(scene for scene in film.scenes if scene.stop_seconds > seconds) for seconds in pts]
    frames = np.stack([renderer.frame(scene, float(seconds)) for scene, seconds in zip(shown, pts, strict=True)])
    return prepared_chunk(DecodedFrames(frames, pts, DecodeReport(len(pts), (), "none", None, 0.0)), str(seed))


async def answers(settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Of each film, all at once as in serving: the text, its tokens and the likeliest of each."""
    choice = choose_model(AppSettings(model=str(DEMO_MODEL), **settings), num_gpus=0, vllm_has_cuda=False)
    os.environ.update(choice.environment)
    from deployments.engine.engine import Engine

    engine = Engine(choice.engine_args)

    async def answer(seed: int) -> dict[str, Any]:
        *_, last = [piece async for piece in engine.generate(Prompt(LIST_PROMPT), GREEDY, filmed(seed))]
        assert isinstance(last, Generation) and last.tokens
        likeliest = [[(likely.token, likely.logprob) for likely in token.likeliest] for token in last.tokens]
        return {"text": last.text, "tokens": [token.written.token for token in last.tokens], "likeliest": likeliest}

    try:
        return [await answer(seed) for seed in SEEDS]
    finally:
        engine.shutdown()


if __name__ == "__main__":
    print(json.dumps(asyncio.run(answers(json.loads(sys.argv[1])))))
