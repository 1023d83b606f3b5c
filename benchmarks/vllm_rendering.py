"""vLLM's own way from frames to what its engine takes: its renderer, with processor and tokenizer, and no engine."""

from __future__ import annotations

from typing import Any

import numpy as np

from deployments.model_choice import ModelChoice
from pipeline.decoding.patches import CLOCK_TICKS_PER_SECOND
from pipeline.types import DecodedFrames, Prompt


def vllm_renderer(choice: ModelChoice) -> Any:
    """The choice's environment must be set."""
    from vllm.engine.arg_utils import AsyncEngineArgs  # noqa: PLC0415
    from vllm.renderers import renderer_from_config  # noqa: PLC0415

    return renderer_from_config(AsyncEngineArgs(**choice.engine_args).create_engine_config())


def rendered(renderer: Any, decoded: DecodedFrames, prompt: Prompt) -> dict[str, Any]:
    """The engine's input for frames and their times."""
    from vllm.renderers.inputs.preprocess import parse_model_prompt  # noqa: PLC0415

    frames, pts = decoded.frames, decoded.pts_seconds
    if len(frames) == 1:  # the processor takes no single frame
        frames, pts = np.repeat(frames, 2, axis=0), np.repeat(pts, 2)
    ticks = [round(seconds * CLOCK_TICKS_PER_SECOND) for seconds in pts.tolist()]
    metadata = {
        "fps": float(CLOCK_TICKS_PER_SECOND),
        "frames_indices": ticks,
        "total_num_frames": ticks[-1] + 1,
        "duration": (ticks[-1] + 1) / CLOCK_TICKS_PER_SECOND,
        "video_backend": "longtake",
        "do_sample_frames": False,
    }
    messages = [
        {"role": "system", "content": prompt.system},
        {"role": "user", "content": [{"type": "video"}, {"type": "text", "text": prompt.text}]},
    ]
    raw = {
        "prompt": renderer.get_tokenizer().apply_chat_template(messages, tokenize=False, add_generation_prompt=True),
        "multi_modal_data": {"video": [(frames, metadata)]},
        "mm_processor_kwargs": {"do_resize": False, "cap_pixels_per_frame": False},
    }
    (engine_input,) = renderer.render_cmpl([parse_model_prompt(renderer.model_config, raw)])
    return dict(engine_input)
