"""LoRA adapters in PEFT's format, on a real vLLM engine."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio
import torch
from safetensors.torch import save_file

from deployments.config import AppSettings
from deployments.model_choice import DEMO_MODEL, choose_model
from pipeline.errors import EngineFailed
from pipeline.types import Generation, PreparedChunk, Prompt
from tests.deployments.engine.engine_answers import GREEDY, filmed
from tools.demo_model.language import LIST_PROMPT

if TYPE_CHECKING:
    from deployments.engine.engine import Engine

BRIEF = replace(GREEDY, max_tokens=16)
"""vLLM's CPU build takes some 0.1 s for a token with an adapter."""


def write_adapter(folder: Path, *, seed: int, rank: int = 4) -> Path:
    """Random and large enough to be seen, on the queries and values of every layer of the demo model."""
    config = json.loads((DEMO_MODEL / "config.json").read_text())["text_config"]
    outputs = {"q_proj": config["num_attention_heads"], "v_proj": config["num_key_value_heads"]}
    random = torch.Generator().manual_seed(seed)
    weights = {}
    for layer in range(config["num_hidden_layers"]):
        for name, heads in outputs.items():
            part = f"base_model.model.model.language_model.layers.{layer}.self_attn.{name}"
            shapes = {"lora_A": (rank, config["hidden_size"]), "lora_B": (heads * config["head_dim"], rank)}
            for matrix, shape in shapes.items():
                weights[f"{part}.{matrix}.weight"] = 0.5 * torch.randn(shape, generator=random)
    folder.mkdir()
    save_file(weights, folder / "adapter_model.safetensors")
    described = {
        "peft_type": "LORA",
        "r": rank,
        "lora_alpha": 2 * rank,
        "target_modules": list(outputs),
        "bias": "none",
    }
    (folder / "adapter_config.json").write_text(json.dumps(described))
    return folder


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Engine]:
    folder = tmp_path_factory.mktemp("adapters")
    adapters = {name: str(write_adapter(folder / name, seed=seed)) for seed, name in enumerate(["sports", "news"])}
    choice = choose_model(AppSettings(lora_adapters=adapters), num_gpus=0, vllm_has_cuda=False)
    with pytest.MonkeyPatch.context() as environment:
        for name, value in choice.environment.items():
            environment.setenv(name, value)
        from deployments.engine.engine import Engine

        engine = Engine(choice.engine_args, choice.lora_adapters)
        yield engine
        engine.shutdown()


async def answer(engine: Engine, adapter: str | None, chunk: PreparedChunk | None) -> Generation:
    *_, last = [piece async for piece in engine.generate(Prompt(LIST_PROMPT), replace(BRIEF, adapter=adapter), chunk)]
    assert isinstance(last, Generation)
    return last


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
async def test_an_adapter_changes_the_answer_and_none_but_its_own(engine: Engine) -> None:
    for chunk in (filmed(30_001), None):  # as in a chunk's answer, and in a merge
        before = await answer(engine, None, chunk)
        adapted = [await answer(engine, adapter, chunk) for adapter in ("sports", "news", "sports", "news")]
        after = await answer(engine, None, chunk)
        assert after.text == before.text
        assert len({before.text, adapted[0].text, adapted[1].text}) == 3
        assert [generation.text for generation in adapted[:2]] == [generation.text for generation in adapted[2:]]


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_kept_of_a_prompt_is_kept_for_each_adapter_alone(engine: Engine) -> None:
    chunk = filmed(30_002)
    first = [(await answer(engine, adapter, chunk)).usage.cached_tokens for adapter in (None, "sports", "news")]
    again = [(await answer(engine, adapter, chunk)).usage.cached_tokens for adapter in (None, "sports", "news")]
    assert first == [0, 0, 0]
    assert min(again) > 0


@pytest.mark.slow
@pytest.mark.asyncio(loop_scope="module")
async def test_an_adapter_that_is_not_there_fails_its_request_alone(engine: Engine) -> None:
    with pytest.raises(EngineFailed):
        await answer(engine, "weather", None)
    assert (await answer(engine, "news", None)).usage.completion_tokens > 0


def test_ranks_are_those_that_vllm_takes(tmp_path: Path) -> None:
    from deployments.engine.adapters import Adapters

    assert Adapters({}).engine_args == {}
    paths = {str(rank): str(write_adapter(tmp_path / str(rank), seed=0, rank=rank)) for rank in (3, 9)}
    assert Adapters(paths).engine_args == {"enable_lora": True, "max_loras": 2, "max_lora_rank": 16}
    requests = [Adapters(paths).request(name) for name in paths]
    assert len({request.lora_int_id for request in requests if request}) == 2
    assert Adapters(paths).request(None) is None


@pytest.mark.parametrize("config", [None, "{", "[]", "{}", '{"r": 0}', '{"r": "8"}', '{"r": 513}'])
def test_a_folder_without_an_adapter_is_named_at_start(config: str | None, tmp_path: Path) -> None:
    from deployments.engine.adapters import Adapters

    if config is not None:
        (tmp_path / "adapter_config.json").write_text(config)
    with pytest.raises(ValueError, match="lora_adapters: 'sports'") as refused:
        Adapters({"sports": str(tmp_path)})
    assert str(tmp_path) not in str(refused.value)
