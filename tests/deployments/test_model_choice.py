"""The choice of the model by the cluster's hardware."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deployments.config import AppSettings
from deployments.model_choice import (
    DEMO_DEFAULTS,
    DEMO_MODEL,
    GPU_MODEL,
    ModelChoice,
    RequestDefaults,
    choose_model,
)
from pipeline.errors import UnknownModel
from pipeline.planning.visual_tokens import DEFAULT_MAX_PIXELS, DEFAULT_MIN_PIXELS


def choose(num_gpus: float = 0, vllm_has_cuda: bool = False, **settings: Any) -> ModelChoice:
    return choose_model(AppSettings(**settings), num_gpus=num_gpus, vllm_has_cuda=vllm_has_cuda)


def test_a_gpu_serves_qwen() -> None:
    choice = choose(num_gpus=1, vllm_has_cuda=True)
    assert (choice.model, choice.device) == (GPU_MODEL, "cuda")
    assert choice.served_model_name == "Qwen3-VL-8B-Instruct-FP8"
    assert choice.deployment_options == {"ray_actor_options": {"num_cpus": 0, "num_gpus": 1}}
    assert choice.engine_args["distributed_executor_backend"] == "uni"
    assert choice.engine_args["mm_encoder_tp_mode"] == "weights"
    assert choice.engine_args["kv_cache_dtype"] == "fp8"
    assert choice.defaults == RequestDefaults(DEFAULT_MIN_PIXELS, DEFAULT_MAX_PIXELS, temperature=0.7)
    assert choice.defaults.chunk_duration_seconds == 60
    assert choice.notice is None


@pytest.mark.parametrize(
    ("num_gpus", "vllm_has_cuda", "needed", "reason"),
    [
        (0, False, 1, "the cluster has 0 GPUs and the engine needs 1: running on CPU"),
        (0, True, 1, "the cluster has 0 GPUs and the engine needs 1: running on CPU"),
        (2, False, 1, "the cluster has 2 GPUs, but the installed vLLM is its CPU build: running on CPU"),
        (1, True, 2, "the cluster has 1 GPUs and the engine needs 2: running on CPU"),
    ],
)
def test_without_enough_gpus_the_demo_model_is_served(
    num_gpus: float, vllm_has_cuda: bool, needed: int, reason: str
) -> None:
    choice = choose(num_gpus, vllm_has_cuda, tensor_parallel_size=needed)
    assert (choice.model, choice.device) == (str(DEMO_MODEL), "cpu")
    assert choice.served_model_name == "longtake-demo"
    assert choice.reason == reason
    assert choice.deployment_options == {"ray_actor_options": {"num_cpus": 0}}
    assert choice.engine_args["tensor_parallel_size"] == 1
    assert choice.engine_args["distributed_executor_backend"] == "uni"
    assert choice.defaults == DEMO_DEFAULTS
    assert "generated films" in (choice.notice or "")


def test_one_engine_takes_all_gpus_that_share_it() -> None:
    choice = choose(num_gpus=8, vllm_has_cuda=True, tensor_parallel_size=2, pipeline_parallel_size=3)
    assert choice.deployment_options == {"ray_actor_options": {"num_cpus": 0, "num_gpus": 6}}
    assert choice.engine_args["tensor_parallel_size"] == 2
    assert choice.engine_args["pipeline_parallel_size"] == 3
    assert choice.engine_args["distributed_executor_backend"] == "mp"
    assert choice.engine_args["mm_encoder_tp_mode"] == "data"


def test_a_pipeline_counts_in_the_gpus_that_are_needed() -> None:
    choice = choose(num_gpus=5, vllm_has_cuda=True, tensor_parallel_size=2, pipeline_parallel_size=3)
    assert choice.reason == "the cluster has 5 GPUs and the engine needs 6: running on CPU"


@pytest.mark.parametrize("labels", [{}, {"longtake.io/role": "engine"}])
def test_across_nodes_each_gpu_is_a_bundle_of_a_placement_group(labels: dict[str, str]) -> None:
    choice = choose(
        num_gpus=2, vllm_has_cuda=True, tensor_parallel_size=2, engine_executor="ray", engine_node_labels=labels
    )
    assert choice.engine_args["distributed_executor_backend"] == "ray"
    expected: dict[str, Any] = {
        "ray_actor_options": {"num_cpus": 0},
        "placement_group_bundles": [{"GPU": 1}, {"GPU": 1}],
        "placement_group_strategy": "PACK",
    }
    assert choice.deployment_options == expected | (
        {"placement_group_bundle_label_selector": [labels]} if labels else {}
    )


def test_a_cpu_engine_is_in_one_node() -> None:
    choice = choose(model="Qwen/Qwen3-VL-2B-Instruct", tensor_parallel_size=2, engine_executor="ray")
    assert choice.engine_args["distributed_executor_backend"] == "mp"
    assert choice.deployment_options == {"ray_actor_options": {"num_cpus": 0}}


@pytest.mark.parametrize("on_gpu", [True, False])
def test_a_named_model_wins_on_any_device(on_gpu: bool, tmp_path: Path) -> None:
    choice = choose(num_gpus=on_gpu, vllm_has_cuda=on_gpu, model=f"{tmp_path}/")
    assert choice.model == f"{tmp_path}/"
    assert choice.served_model_name == tmp_path.name
    assert choice.device == ("cuda" if on_gpu else "cpu")
    assert choice.notice is None
    assert choice.reason.startswith("the configuration names it")


def test_the_operators_name_and_engine_arguments_win() -> None:
    choice = choose(served_model_name="eyes", engine_args={"max_model_len": 4096, "seed": 7})
    assert choice.served_model_name == "eyes"
    assert choice.engine_args["max_model_len"] == 4096
    assert choice.engine_args["seed"] == 7
    assert choice.engine_args["enforce_eager"] is True


@pytest.mark.parametrize("on_gpu", [True, False])
def test_vllm_reports_to_nobody_and_lets_none_wait_for_ever(on_gpu: bool) -> None:
    choice = choose(num_gpus=on_gpu, vllm_has_cuda=on_gpu)
    assert choice.engine_args["scheduling_policy"] == "priority"
    assert choice.environment["VLLM_NO_USAGE_STATS"] == "1"


def test_an_engine_that_shares_its_cores_does_not_spin_on_them() -> None:
    assert choose(num_gpus=0).environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert "OMP_WAIT_POLICY" not in choose(num_gpus=1, vllm_has_cuda=True).environment


def test_a_folder_is_served_without_the_network(tmp_path: Path) -> None:
    for model, offline in [(str(tmp_path), "1"), ("Qwen/Qwen3-VL-2B-Instruct", None)]:
        environment = choose(model=model).environment
        assert environment.get("HF_HUB_OFFLINE") == offline


def test_keys_and_values_are_halved_only_where_the_model_is_known_to_bear_it() -> None:
    assert "kv_cache_dtype" not in choose(num_gpus=1, vllm_has_cuda=True, model="Qwen/Qwen3-VL-2B-Instruct").engine_args


def test_an_adapter_has_another_name_than_its_model() -> None:
    assert choose(lora_adapters={"sports": "/adapters/sports"}).lora_adapters == {"sports": "/adapters/sports"}
    with pytest.raises(ValueError, match="contains 'eyes', the model's own name"):
        choose(served_model_name="eyes", lora_adapters={"eyes": "/adapters/eyes"})


def test_the_only_model_is_named_to_who_asks_for_another() -> None:
    with pytest.raises(UnknownModel, match="The model is 'ears'; 'longtake-demo' is the one served here"):
        choose().adapter("ears")
