"""A real vLLM engine with the demo model, without Ray."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import jsonschema
import numpy as np
import pytest
import pytest_asyncio
import yaml

from deployments.config import AppSettings
from deployments.model_choice import choose_model
from pipeline.config import DecodingSettings
from pipeline.decoding import patches
from pipeline.decoding.patches import prepared_chunk
from pipeline.errors import EngineFailed, InvalidRequest
from pipeline.types import (
    DecodedFrames,
    DecodeReport,
    Generation,
    JsonFormat,
    PreparedChunk,
    Prompt,
    TextDelta,
    TokenSampling,
    Turn,
)
from tools.demo_model.checkpoint import make_tokenizer
from tools.demo_model.examples import ExampleMaker
from tools.demo_model.footage import Footage, Reel, stamps
from tools.demo_model.language import LIST_PROMPT, Event, heard
from tools.demo_model.scenes import Renderer, Split, random_film
from tools.truth.clips import FOLDER, in_every_codec, long_film
from tools.truth.decoders import told_by
from tools.truth.measure import STEP_SECONDS
from tools.truth.scoring import agreement

if TYPE_CHECKING:
    from deployments.engine.engine import Engine

ROOT = Path(__file__).parents[3]
PROMPT = Prompt("What happens?", system="Be brief.")
SAMPLING = TokenSampling(max_tokens=24, temperature=2.0, top_p=1.0, top_k=0, seed=5)
GREEDY = replace(SAMPLING, temperature=0.0, max_tokens=256)

pytestmark = [pytest.mark.own_servers, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine() -> AsyncIterator[Engine]:
    choice = choose_model(AppSettings(), num_gpus=0, vllm_has_cuda=False)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in choice.environment.items():
            environment.setenv(name, value)
        from deployments.engine.engine import Engine

        engine = Engine(choice.engine_args)
        yield engine
        engine.shutdown()


def frames_at(*pts_seconds: float) -> DecodedFrames:
    noise = np.random.default_rng(0).integers(0, 256, (len(pts_seconds), 64, 96, 3), dtype=np.uint8)
    noise.flags.writeable = False  # as it comes out of the object store
    report = DecodeReport(len(pts_seconds), (), "none", None, 0.0)
    return DecodedFrames(noise, np.array(pts_seconds), report)


async def generate(engine: Engine, *arguments: Any) -> Generation:
    *_, last = [piece async for piece in engine.generate(*arguments)]
    assert isinstance(last, Generation)
    return last


async def prompt_token_ids(engine: Engine, frames: DecodedFrames, prompt: Prompt = PROMPT) -> list[int]:
    """What the model is really given."""
    return token_ids(engine, prompt, prepared_chunk(frames, "noise"))


def token_ids(engine: Engine, prompt: Prompt, chunk: PreparedChunk) -> list[int]:
    engine_input: Any = engine._inputs.video(prompt, chunk)
    return list(engine_input["prompt_token_ids"])


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
    chunk = prepared_chunk(frames_at(0.0, 0.5, 1.0, 1.5), "noise")
    texts = [(await generate(engine, PROMPT, replace(SAMPLING, seed=seed), chunk)).text for seed in (*range(8), 0)]
    assert texts[0] == texts[-1]
    assert len(set(texts)) > 1


async def test_frames_matter(engine: Engine) -> None:
    film = random_film(Split.TEST, 30_000, width_px=96, height_px=96, duration_seconds=20)
    first, second = film.scenes[:2]
    pts = [first.start_seconds + 0.5 * i for i in range(4)]
    renderer = Renderer(96, 96)
    for scenes in ([first] * 4, [second] * 4):
        shown = np.stack([renderer.frame(scene, scene.start_seconds) for scene in scenes])
        chunk = prepared_chunk(replace(frames_at(*pts), frames=shown), scenes[0].colour)
        (event,) = heard((await generate(engine, Prompt(LIST_PROMPT), GREEDY, chunk)).text)
        assert event.content == (scenes[0].colour, scenes[0].shape)


async def test_every_decoder_and_codec_gives_the_same_events(engine: Engine) -> None:
    clips = in_every_codec(long_film(40, seed=10_002))
    told = [
        await told_by(engine, backend, clip, FOLDER) for clip in clips for backend in DecodingSettings().backend_order
    ]
    assert {one.answer["decoder"] for one in told} == set(DecodingSettings().backend_order)
    first, *others = told
    assert min(agreement(first.events, other.events, step_seconds=STEP_SECONDS) for other in others) >= 0.95, told


async def test_a_chunk_in_segments_is_the_chunk_in_one(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    film = random_film(Split.TEST, 30_001, width_px=96, height_px=96, duration_seconds=40)
    pts = np.arange(0, 30, 0.5)
    renderer = Renderer(96, 96)
    shown = [next(scene for scene in film.scenes if scene.stop_seconds > seconds) for seconds in pts]
    frames = np.stack([renderer.frame(scene, float(seconds)) for scene, seconds in zip(shown, pts, strict=True)])
    decoded = replace(frames_at(*pts.tolist()), frames=frames)
    in_segments = prepared_chunk(decoded, "segments")
    monkeypatch.setattr(patches, "SEGMENT_PAIRS", len(pts))
    whole = prepared_chunk(decoded, "whole")
    assert (len(in_segments.segments), len(whole.segments)) == (2, 1)
    first, second = [await logprobs(engine, chunk) for chunk in (in_segments, whole)]
    assert len(first) > 10
    assert first == second


async def logprobs(engine: Engine, chunk: PreparedChunk) -> list[dict[int, float]]:
    """Of the likeliest tokens at each place of the answer."""
    import vllm

    params = vllm.SamplingParams(max_tokens=64, temperature=0.0, logprobs=3)
    async for output in engine._llm.generate(engine._inputs.video(Prompt(LIST_PROMPT), chunk), params, uuid4().hex):
        last = output.outputs[0].logprobs
    assert last is not None
    return [{token: entry.logprob for token, entry in place.items()} for place in last]


async def test_a_second_question_about_a_chunk_finds_its_tokens(engine: Engine) -> None:
    chunk = prepared_chunk(frames_at(*np.arange(0, 40, 0.5).tolist()), "asked twice")
    other = prepared_chunk(frames_at(*np.arange(0, 40, 0.5).tolist()), "another video")
    cached = [
        await cached_tokens(engine, prompt, asked)
        for prompt, asked in ((Prompt("What?"), chunk), (Prompt("And where?"), chunk), (Prompt("And where?"), other))
    ]
    num_tokens = len(token_ids(engine, Prompt("What?"), chunk))
    assert cached[0] == 0
    assert cached[1] > num_tokens - 200  # whole blocks of 128 are found again
    assert cached[2] == 0


async def cached_tokens(engine: Engine, prompt: Prompt, chunk: PreparedChunk) -> int:
    """How many of the prompt's tokens the engine still had."""
    import vllm

    outputs = engine._llm.generate(engine._inputs.video(prompt, chunk), vllm.SamplingParams(max_tokens=1), uuid4().hex)
    (found,) = {output.num_cached_tokens async for output in outputs}
    assert found is not None
    return found


SCHEMA = {
    "type": "object",
    "properties": {
        "scenes": {"type": "array", "maxItems": 3, "items": {"enum": ["red circle", "blue square"]}},
        "count": {"type": "integer", "minimum": 0, "maximum": 99},
    },
    "required": ["scenes", "count"],
    "additionalProperties": False,
}


async def test_a_text_follows_its_schema(engine: Engine) -> None:
    sampling = replace(GREEDY, json_format=JsonFormat(json.dumps(SCHEMA)))
    for chunk in (None, prepared_chunk(frames_at(0.0, 0.5, 1.0, 1.5), "noise")):
        generation = await generate(engine, PROMPT, sampling, chunk)
        assert generation.finish_reason == "stop"
        jsonschema.validate(json.loads(generation.text), SCHEMA)


async def test_a_text_is_an_object_where_no_more_is_said(engine: Engine) -> None:
    generation = await generate(engine, PROMPT, replace(SAMPLING, json_format=JsonFormat(), max_tokens=200))
    assert generation.text.startswith("{")
    if generation.finish_reason == "stop":
        assert isinstance(json.loads(generation.text), dict)


async def test_a_schema_that_makes_no_grammar_is_refused_before(engine: Engine) -> None:
    for schema in (
        {"type": "object", "patternProperties": {"(": {}}},
        {"$ref": "#/nowhere"},
        {"type": "string", "pattern": "("},
    ):
        with pytest.raises(InvalidRequest) as refused:
            engine.check_token_sampling(replace(SAMPLING, json_format=JsonFormat(json.dumps(schema))))
        assert refused.value.param == "response_format"
        assert "/" not in refused.value.message.replace("#/nowhere", "")  # no path of xgrammar's source
    engine.check_token_sampling(replace(SAMPLING, json_format=JsonFormat(json.dumps(SCHEMA))))
    engine.check_token_sampling(SAMPLING)


async def test_a_text_ends_before_its_stop(engine: Engine) -> None:
    whole = (await generate(engine, PROMPT, SAMPLING)).text
    middle = whole[len(whole) // 2 :][:3]
    generation = await generate(engine, PROMPT, replace(SAMPLING, stop=(middle,)))
    assert generation.text == whole[: whole.index(middle)]
    assert generation.finish_reason == "stop"


async def test_log_probabilities_are_those_of_the_text(engine: Engine) -> None:
    generation = await generate(engine, PROMPT, replace(GREEDY, max_tokens=12, num_logprobs=3))
    assert generation.tokens is not None
    assert "".join(token.written.token for token in generation.tokens).startswith(generation.text)
    for token in generation.tokens:
        assert len(token.likeliest) == 3
        assert token.written == token.likeliest[0]  # temperature 0
        assert sum(math.exp(likely.logprob) for likely in token.likeliest) <= 1.001
    assert (await generate(engine, PROMPT, GREEDY)).tokens is None
    alone = await generate(engine, PROMPT, replace(GREEDY, max_tokens=12, num_logprobs=0))
    assert alone.tokens is not None and {len(token.likeliest) for token in alone.tokens} == {0}


async def test_who_asked_first_goes_first(engine: Engine) -> None:
    """Whatever order the engine is asked in: four generations at a time, and the rest waits."""
    ended: list[int] = []

    async def ask(priority: int) -> None:
        sampling = replace(SAMPLING, max_tokens=100, json_format=JsonFormat(LONG_TEXT))
        async for _ in engine.generate(PROMPT, sampling, turn=Turn(priority)):
            pass
        ended.append(priority)

    await asyncio.gather(*(ask(priority) for priority in (*[50] * 4, *range(20, 8, -1))))
    waited = [priority for priority in ended if priority != 50]
    assert sum(abs(priority - place) > 4 for place, priority in enumerate(waited, start=9)) == 0, ended


LONG_TEXT = json.dumps({"type": "array", "items": {"type": "integer"}, "minItems": 80})
"""A schema that takes all tokens there are, whatever the model would say."""


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
    chunk = prepared_chunk(frames_at(0.0, 1.0), "noise")
    broken = replace(chunk, segments=(replace(chunk.segments[0], grid=(1, 4, 8)),))
    with pytest.raises(EngineFailed):
        await generate(engine, PROMPT, SAMPLING, broken)
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


@pytest.mark.parametrize("config", ["serve_config.yaml", "serve_config.8b.yaml", "serve_config.30b-a3b.yaml"])
@pytest.mark.parametrize("on_gpu", [False, True])
async def test_vllm_knows_every_argument(config: str, on_gpu: bool) -> None:
    from vllm.engine.arg_utils import AsyncEngineArgs

    settings = AppSettings(**yaml.safe_load((ROOT / config).read_text())["applications"][0]["args"])
    choice = choose_model(settings, num_gpus=2 * on_gpu, vllm_has_cuda=on_gpu)
    assert set(choice.engine_args) <= {field.name for field in fields(AsyncEngineArgs)}
    AsyncEngineArgs(**choice.engine_args)


async def test_an_argument_that_vllm_does_not_know_is_named() -> None:
    from deployments.engine.engine import Engine

    with pytest.raises(ValueError, match="max_modle_len"):
        Engine({"model": "any", "max_modle_len": 3})
