"""vLLM for real, on the demo model, without Ray around it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import pytest_asyncio

from deployments.config import AppSettings
from deployments.model_choice import choose_model
from pipeline.config import DecodingSettings
from pipeline.errors import EngineFailed
from pipeline.types import DecodedFrames, DecodeReport, Generation, Prompt, TextDelta, TokenSampling
from tools.demo_model.checkpoint import make_tokenizer
from tools.demo_model.examples import ExampleMaker
from tools.demo_model.footage import Footage, Reel, stamps
from tools.demo_model.language import LIST_PROMPT, Event, heard
from tools.demo_model.scenes import Renderer, Split, random_film
from tools.truth.clips import in_every_codec, long_film
from tools.truth.decoders import told_by
from tools.truth.measure import STEP_SECONDS
from tools.truth.scoring import agreement

if TYPE_CHECKING:
    from deployments.engine import Engine

PROMPT = Prompt("What happens?", system="Be brief.")
SAMPLING = TokenSampling(max_tokens=24, temperature=2.0, top_p=1.0, top_k=0, seed=5)
GREEDY = replace(SAMPLING, temperature=0.0, max_tokens=256)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[Engine]:
    choice = choose_model(AppSettings(), num_gpus=0, vllm_has_cuda=False)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in choice.environment.items():
            environment.setenv(name, value)
        from deployments.engine import Engine

        engine = Engine(choice.engine_args)
        yield engine
        engine.shutdown()


def frames_at(*pts_seconds: float, height_px: int = 64) -> DecodedFrames:
    noise = np.random.default_rng(0).integers(0, 256, (len(pts_seconds), height_px, 96, 3), dtype=np.uint8)
    noise.flags.writeable = False  # as it comes out of the object store
    report = DecodeReport(len(pts_seconds), (), "none", None, 0.0)
    return DecodedFrames(noise, np.array(pts_seconds), report)


async def generate(engine: Engine, *arguments: Any) -> Generation:
    *_, last = [piece async for piece in engine.generate(*arguments)]
    assert isinstance(last, Generation)
    return last


async def prompt_token_ids(engine: Engine, frames: DecodedFrames, prompt: Prompt = PROMPT) -> list[int]:
    """What the model is really given."""
    from vllm.renderers.inputs.preprocess import parse_model_prompt

    llm = engine._llm
    (rendered,) = await llm.renderer.render_cmpl_async(
        [parse_model_prompt(llm.model_config, engine._model_prompt(prompt, frames))]
    )
    return list(rendered["prompt_token_ids"])


async def prompt_text(engine: Engine, frames: DecodedFrames) -> str:
    return str(engine._llm.get_tokenizer().decode(await prompt_token_ids(engine, frames)))


async def test_the_model_is_told_the_videos_own_times(engine: Engine) -> None:
    """Of a late chunk at an odd frame rate: each pair of frames has the mean of its two times."""
    text = await prompt_text(engine, frames_at(3599.7, 3600.23, 3601.5, 3602.9))
    assert [part.split(">")[0] for part in text.split("<")[1:] if " seconds>" in f"{part}>"] == [
        "3600.0 seconds",
        "3602.2 seconds",
    ]
    assert text.count("<|video_pad|>") == 2 * (64 // 32) * (96 // 32)


async def test_an_odd_number_of_frames_makes_a_pair_of_the_last(engine: Engine) -> None:
    assert "<9.0 seconds>" in await prompt_text(engine, frames_at(7.0, 8.0, 9.0))
    assert "<7.0 seconds>" in await prompt_text(engine, frames_at(7.0))


@pytest.mark.parametrize("text", ["List every scene.", "Über 1234.5 s?\n<note> 0:58"])
async def test_the_demo_model_learned_the_engines_own_layout(text: str, engine: Engine) -> None:
    """Token for token: what training shows the model is what the engine shows it."""
    pts = [0.0, 0.5, 1.0083, 1.5, 1234.4, 1234.96]
    frames = frames_at(*pts)
    reel = Reel(np.zeros((1, 1, 64, 96, 3), np.uint8), (("red", "circle"),))
    footage = Footage(frames.frames, stamps(np.array(pts)), (Event(0.2, "red", "circle"),))
    example = ExampleMaker(make_tokenizer(), [reel]).chunk_example(footage, Prompt(text))
    assert await prompt_token_ids(engine, frames, Prompt(text)) == example.token_ids[: example.answer_start]


async def test_the_template_is_qwens(engine: Engine) -> None:
    text = await prompt_text(engine, frames_at(0.0, 1.0))
    assert text.startswith("<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n<|vision_start|>")
    assert text.endswith("What happens?<|im_end|>\n<|im_start|>assistant\n")


async def test_the_same_seed_gives_the_same_text_and_another_one_may_not(engine: Engine) -> None:
    frames = frames_at(0.0, 0.5, 1.0, 1.5)
    texts = [(await generate(engine, PROMPT, replace(SAMPLING, seed=seed), frames)).text for seed in (*range(8), 0)]
    assert texts[0] == texts[-1]
    assert len(set(texts)) > 1


async def test_frames_matter(engine: Engine) -> None:
    film = random_film(Split.TEST, 30_000, width_px=96, height_px=96, duration_seconds=20)
    first, second = film.scenes[:2]
    pts = [first.start_seconds + 0.5 * i for i in range(4)]
    renderer = Renderer(96, 96)
    for scenes in ([first] * 4, [second] * 4):
        shown = np.stack([renderer.frame(scene, scene.start_seconds) for scene in scenes])
        frames = replace(frames_at(*pts), frames=shown)
        (event,) = heard((await generate(engine, Prompt(LIST_PROMPT), GREEDY, frames)).text)
        assert event.content == (scenes[0].colour, scenes[0].shape)


async def test_every_decoder_and_codec_gives_the_same_events(engine: Engine, tmp_path: Path) -> None:
    clips = in_every_codec(long_film(40, seed=10_002))
    told = [
        await told_by(engine, backend, clip, tmp_path) for clip in clips for backend in DecodingSettings().backend_order
    ]
    assert {one.answer["decoder"] for one in told} == set(DecodingSettings().backend_order)
    first, *others = told
    assert min(agreement(first.events, other.events, step_seconds=STEP_SECONDS) for other in others) >= 0.95, told


async def test_pieces_make_up_the_text(engine: Engine) -> None:
    long = replace(SAMPLING, max_tokens=1000)
    pieces = [piece async for piece in engine.generate(PROMPT, long)]
    *deltas, end = pieces
    assert isinstance(end, Generation)
    assert deltas  # how many is a matter of luck: the demo model writes faster than vLLM passes its tokens on
    assert "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)) == end.text
    assert 0 < end.usage.completion_tokens <= long.max_tokens
    assert end.usage.prompt_tokens > 0
    assert end.finish_reason in ("stop", "length")


async def test_frames_of_a_wrong_size_fail_their_request_alone(engine: Engine) -> None:
    with pytest.raises(EngineFailed):
        await generate(engine, PROMPT, SAMPLING, frames_at(0.0, 1.0, height_px=50))
    assert (await generate(engine, PROMPT, SAMPLING)).usage.completion_tokens > 0


async def test_a_prompt_over_the_context_fails_its_request_alone(engine: Engine) -> None:
    with pytest.raises(EngineFailed):
        await generate(engine, Prompt("word " * engine.max_model_len), SAMPLING)
    await engine.check_alive()


async def test_a_seeded_prompt_of_nearly_the_whole_context_does_not_kill_the_engine(engine: Engine) -> None:
    """vLLM 0.32's CPU engine dies of a partial prefill of such a request."""
    long = Prompt("w" * (engine.max_model_len - 200))
    await asyncio.gather(*(generate(engine, long, SAMPLING) for _ in range(3)))
    await engine.check_alive()


@pytest.mark.parametrize("on_gpu", [False, True])
async def test_vllm_knows_every_argument(on_gpu: bool) -> None:
    from vllm.engine.arg_utils import AsyncEngineArgs

    choice = choose_model(AppSettings(tensor_parallel_size=2), num_gpus=2 * on_gpu, vllm_has_cuda=on_gpu)
    assert set(choice.engine_args) <= {field.name for field in fields(AsyncEngineArgs)}


async def test_an_argument_that_vllm_does_not_know_is_named() -> None:
    from deployments.engine import Engine

    with pytest.raises(ValueError, match="max_modle_len"):
        Engine({"model": "any", "max_modle_len": 3})
