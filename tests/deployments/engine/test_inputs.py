"""Our inputs equal those of vLLM's own processor for the same frames: a new release may change their layout."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.vllm_rendering import rendered, vllm_renderer
from deployments.config import AppSettings
from deployments.model_choice import choose_model
from pipeline.decoding.patches import SEGMENT_PAIRS, prepared_chunk
from pipeline.errors import EngineFailed
from pipeline.planning.visual_tokens import MAX_FRAMES, chunk_token_bound
from pipeline.types import PreparedChunk, Prompt
from tests.frames import frames_of

SHAPES = [
    (2, 32, 32),
    (4, 64, 96),
    (3, 64, 96),
    (1, 96, 64),
    (2 * SEGMENT_PAIRS, 64, 64),
    (2 * SEGMENT_PAIRS + 1, 64, 64),
    (200, 256, 448),
    (MAX_FRAMES, 96, 160),
]
"""Frames, height and width: one pair, odd numbers, not square, one segment and just more, large, the most there are."""
PROMPT = Prompt("What happens?\n<note> 0:58 Über", system="Be brief.")


@pytest.fixture(scope="module")
def vllms_own() -> Any:
    """vLLM's renderer, with its processor and tokenizer; no engine."""
    choice = choose_model(AppSettings(), num_gpus=0, vllm_has_cuda=False)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in choice.environment.items():
            environment.setenv(name, value)
        yield vllm_renderer(choice)


@pytest.fixture(scope="module")
def inputs(vllms_own: Any) -> Any:
    from deployments.engine.inputs import EngineInputs

    return EngineInputs(vllms_own.get_tokenizer())


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_engine_is_given_what_vllm_would_make(vllms_own: Any, inputs: Any, shape: tuple[int, int, int]) -> None:
    decoded = frames_of(*shape)
    theirs = rendered(vllms_own, decoded, PROMPT)
    chunk = prepared_chunk(decoded, "bytes")
    ours = inputs.video(PROMPT, chunk)

    assert ours["type"] == theirs["type"]
    assert ours["prompt_token_ids"] == theirs["prompt_token_ids"]
    assert np.array_equal(pixels(ours), pixels(theirs))
    (whole,) = theirs["mm_kwargs"]["video"]
    segments = ours["mm_kwargs"]["video"]
    grids = np.array([segment["video_grid_thw"].data.tolist() for segment in segments])
    assert [int(grids[:, 0].sum()), *grids[0, 1:]] == whole["video_grid_thw"].data.tolist()
    times = [seconds for segment in segments for seconds in segment["timestamps"].data]
    assert times == pytest.approx(list(whole["timestamps"].data))
    assert pixel_places(ours) == pixel_places(theirs)
    assert set(segments[0]) == set(whole)
    for key in whole:
        assert type(segments[0][key].field) is type(whole[key].field)


def pixels(engine_input: Any) -> NDArray[np.uint8]:
    parts = [item["pixel_values_videos"].data.numpy() for item in engine_input["mm_kwargs"]["video"]]
    assert all(part.dtype == np.uint8 for part in parts)
    return np.concatenate(parts)


def pixel_places(engine_input: Any) -> list[int]:
    """Where in the prompt what the vision tower makes of the pixels goes."""
    pad = engine_input["prompt_token_ids"]
    found: list[int] = []
    for place in engine_input["mm_placeholders"]["video"]:
        inside = np.arange(place.offset, place.offset + place.length)
        found += inside[np.ones(place.length, bool) if place.is_embed is None else place.is_embed.numpy()].tolist()
    counted = max(set(pad), key=pad.count)  # the pad token; vLLM's own marks all of a video as places
    return [place for place in found if pad[place] == counted]


def test_text_is_given_as_vllm_would(vllms_own: Any, inputs: Any) -> None:
    from vllm.renderers.inputs.preprocess import parse_model_prompt

    tokenizer = vllms_own.get_tokenizer()
    messages = [{"role": "user", "content": [{"type": "text", "text": "Merge.\n\n<note> 1.0 red"}]}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    (theirs,) = vllms_own.render_cmpl([parse_model_prompt(vllms_own.model_config, {"prompt": text})])
    assert inputs.text(Prompt("Merge.\n\n<note> 1.0 red"))["prompt_token_ids"] == theirs["prompt_token_ids"]


def test_a_chunk_takes_no_more_tokens_than_it_was_planned_for(inputs: Any) -> None:
    empty = len(inputs.video(PROMPT, PreparedChunk((), frames_of(2, 32, 32).report))["prompt_token_ids"])
    for shape in SHAPES:
        tokens = len(inputs.video(PROMPT, prepared_chunk(frames_of(*shape), ""))["prompt_token_ids"])
        assert tokens - empty <= chunk_token_bound(*shape)


@pytest.mark.parametrize(
    "wrong",
    [
        {"grid": (2, 3, 4)},
        {"grid": (0, 2, 4)},
        {"grid": (3, 2, 4)},
        {"patches": np.zeros((16, 1536), np.float32)},
        {"patches": np.zeros((16, 1535), np.uint8)},
        {"patches": np.zeros((15, 1536), np.uint8)},
        {"pair_seconds": (0.0,)},
    ],
    ids=str,
)
def test_shapes_that_would_kill_the_engine_are_refused(inputs: Any, wrong: dict[str, Any]) -> None:
    chunk = prepared_chunk(frames_of(4, 32, 64), "")
    broken = replace(chunk, segments=(replace(chunk.segments[0], **wrong),))
    with pytest.raises(EngineFailed, match="patches"):
        inputs.video(PROMPT, broken)


def test_the_engines_process_touches_no_pixel(inputs: Any) -> None:
    """At most 5 ms of CPU for 200 frames of 448x256, where vLLM's own way takes 169."""
    chunk = prepared_chunk(frames_of(200, 256, 448), "")
    inputs.video(PROMPT, chunk)  # its times are new to the tokenizer
    seconds = []
    for _ in range(20):
        started = time.thread_time()
        inputs.video(PROMPT, chunk)
        seconds.append(time.thread_time() - started)
    assert min(seconds) <= 0.005
