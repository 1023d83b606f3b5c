"""serve_config.yaml and its profiles against Ray's schema, the graph and our own settings.

Serve takes unknown keys without a word.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import DeploymentSchema, RayActorOptionsSchema, ServeDeploySchema

from deployments.config import AppSettings
from deployments.model_choice import GPU_MODEL, choose_model
from tests.serve_configs import CONFIGS, ROOT, Config, application_of

DEPLOYMENTS = [
    pytest.param(deployment, id=f"{name}-{deployment['name']}")
    for name, config in CONFIGS.items()
    for deployment in config["applications"][0]["deployments"]
]


@pytest.fixture(params=sorted(CONFIGS))
def config(request: pytest.FixtureRequest) -> Config:
    return CONFIGS[request.param]


@pytest.fixture
def application(config: Config) -> dict[str, Any]:
    return application_of(config)


def test_the_profiles_that_the_readme_names_are_there() -> None:
    named = set(re.findall(r"`(serve_config[\w.-]*\.yaml)`", (ROOT / "README.md").read_text()))
    assert named == set(CONFIGS)


def test_serve_accepts_it(config: Config) -> None:
    ServeDeploySchema.model_validate(config)


def test_every_application_key_is_one_of_serves(config: Config, application: dict[str, Any]) -> None:
    (schema,) = ServeDeploySchema.model_validate(config).applications
    assert set(application) <= set(type(schema).model_fields)
    assert set(config) <= set(ServeDeploySchema.model_fields)


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_every_deployment_key_is_one_of_serves(deployment: dict[str, Any]) -> None:
    assert set(deployment) <= set(DeploymentSchema.model_fields)
    assert set(deployment["autoscaling_config"]) <= set(AutoscalingConfig.model_fields)
    assert set(deployment.get("ray_actor_options", {})) <= set(RayActorOptionsSchema.model_fields)


@pytest.mark.parametrize(
    ("name", "model", "gpus_per_engine"),
    [
        ("serve_config.yaml", "auto", 1),
        ("serve_config.8b.yaml", GPU_MODEL, 1),
        ("serve_config.30b-a3b.yaml", "Qwen/Qwen3-VL-30B-A3B-Instruct-FP8", 2),
    ],
)
def test_its_args_are_the_settings(name: str, model: str, gpus_per_engine: int) -> None:
    (application,) = CONFIGS[name]["applications"]
    settings = AppSettings(**application["args"])
    assert (settings.model, settings.gpus_per_engine) == (model, gpus_per_engine)
    assert settings.sources.media_roots == ()
    choice = choose_model(settings, num_gpus=gpus_per_engine, vllm_has_cuda=True)
    assert choice.engine_args["kv_cache_dtype"] == "fp8"


def test_the_engine_takes_at_once_what_serve_lets_in(application: dict[str, Any]) -> None:
    settings = AppSettings(**application["args"])
    choice = choose_model(settings, num_gpus=settings.gpus_per_engine, vllm_has_cuda=True)
    (engine,) = [entry for entry in application["deployments"] if entry["name"] == "VisionLanguageModel"]
    assert choice.engine_args["max_num_seqs"] == engine["max_ongoing_requests"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_every_stage_scales(deployment: dict[str, Any]) -> None:
    autoscaling = AutoscalingConfig(**deployment["autoscaling_config"])
    assert autoscaling.min_replicas >= 1
    assert "num_replicas" not in deployment
    assert (autoscaling.target_ongoing_requests or 0) <= deployment["max_ongoing_requests"]


def test_it_listens_on_this_machine_only(config: Config) -> None:
    assert config["http_options"]["host"] == "127.0.0.1"
