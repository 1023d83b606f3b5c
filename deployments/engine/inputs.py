"""Build vLLM's inputs: token ids and a chunk's patches, in vLLM's own types and without its pixel processing.

vLLM's own processor takes 169 ms of CPU for 200 frames of 448x256, in the process that feeds the GPU. Building the
inputs directly costs almost nothing. vLLM's types are not a public interface, so
tests/deployments/engine/test_inputs.py compares both results on the installed vLLM.
"""

from __future__ import annotations

import warnings
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from vllm.inputs import EngineInput, mm_input, tokens_input
from vllm.multimodal.inputs import (
    MultiModalBatchedField,
    MultiModalFieldElem,
    MultiModalFlatField,
    MultiModalKwargsItem,
    MultiModalKwargsItems,
    PlaceholderRange,
)

from pipeline.decoding.patches import PATCH_VALUES
from pipeline.errors import EngineFailed
from pipeline.planning.visual_tokens import SPATIAL_MERGE
from pipeline.types import PreparedChunk, Prompt, VideoSegment

# Arrays from the object store are read-only, and nothing here writes to them.
warnings.filterwarnings("ignore", message="The given NumPy array is not writable")

MODALITY = "video"
VISION_START, VISION_END, VIDEO_PAD = "<|vision_start|>", "<|vision_end|>", "<|video_pad|>"


class EngineInputs:
    """Builds the engine's inputs with the model's own tokenizer and chat template."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._vision_start, self._vision_end, self._video_pad = tokenizer.convert_tokens_to_ids(
            [VISION_START, VISION_END, VIDEO_PAD]
        )
        # Every question about a video contains the same times, and encoding one takes 0.1 ms.
        self._time_ids = lru_cache(maxsize=100_000)(self._encoded_time)

    def text(self, prompt: Prompt, cache_salt: str | None = None) -> EngineInput:
        return tokens_input(self._encode(self._templated(prompt, has_video=False)), cache_salt=cache_salt)

    def video(self, prompt: Prompt, chunk: PreparedChunk, cache_salt: str | None = None) -> EngineInput:
        """Build the input of a chunk: one video item per segment, within one pair of vision markers.

        Raises EngineFailed for a shape that would crash the engine.
        """
        before, after = self._templated(prompt, has_video=True).split(VIDEO_PAD, maxsplit=1)
        token_ids = self._encode(before)
        places = []
        for segment in chunk.segments:
            _check(segment)
            body = self._segment_ids(segment)
            is_pixels = torch.tensor(body) == self._video_pad
            places.append(PlaceholderRange(offset=len(token_ids), length=len(body), is_embed=is_pixels))
            token_ids += body
        token_ids += self._encode(after)
        return mm_input(
            token_ids,
            MultiModalKwargsItems({MODALITY: [_kwargs(segment) for segment in chunk.segments]}),
            {MODALITY: [segment.content_id for segment in chunk.segments]},
            {MODALITY: places},
            cache_salt=cache_salt,
        )

    def _templated(self, prompt: Prompt, *, has_video: bool) -> str:
        video_part = [{"type": "video"}] if has_video else []
        messages: list[Any] = [{"role": "user", "content": [*video_part, {"type": "text", "text": prompt.text}]}]
        if prompt.system:
            messages.insert(0, {"role": "system", "content": prompt.system})
        return str(self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))

    def _segment_ids(self, segment: VideoSegment) -> list[int]:
        """Encode the time of each pair of frames, followed by one placeholder per visual token of the pair."""
        _, rows, columns = segment.grid
        pixels = [self._vision_start, *[self._video_pad] * (rows * columns // SPATIAL_MERGE**2), self._vision_end]
        return [token_id for seconds in segment.pair_seconds for token_id in (*self._time_ids(seconds), *pixels)]

    def _encoded_time(self, seconds: float) -> list[int]:
        return self._encode(f"<{seconds:.1f} seconds>")

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text, add_special_tokens=False))


def _check(segment: VideoSegment) -> None:
    pairs, rows, columns = segment.grid
    is_valid = (
        min(segment.grid) > 0
        and rows % SPATIAL_MERGE == columns % SPATIAL_MERGE == 0
        and segment.patches.dtype == np.uint8
        and segment.patches.shape == (pairs * rows * columns, PATCH_VALUES)
        and len(segment.pair_seconds) == pairs
    )
    if not is_valid:
        raise EngineFailed(
            f"The engine received {segment.patches.shape} {segment.patches.dtype} patches and "
            f"{len(segment.pair_seconds)} times for a grid of {segment.grid}; this is a bug in Longtake."
        )


def _kwargs(segment: VideoSegment) -> MultiModalKwargsItem:
    patches = torch.from_numpy(segment.patches)
    times: Any = list(segment.pair_seconds)  # a list, as from Qwen3-VL's own processor, despite vLLM's annotation
    on_cpu = MultiModalBatchedField(keep_on_cpu=True)
    return MultiModalKwargsItem(
        {
            "pixel_values_videos": MultiModalFieldElem(
                patches, MultiModalFlatField(slices=[(slice(0, len(patches)),)], dim=0)
            ),
            "video_grid_thw": MultiModalFieldElem(torch.tensor(segment.grid), on_cpu),
            "timestamps": MultiModalFieldElem(times, on_cpu),
        }
    )
