"""serve_config.yaml and its profiles against Ray's schema, the graph and our own settings.

Serve takes unknown keys without a word.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest
from ray.serve._private import constants as ray_serve_constants
from ray.serve._private.constants import HEALTH_CHECK_METHOD, REPLICA_HEALTH_CHECK_UNHEALTHY_THRESHOLD
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import DeploymentSchema, RayActorOptionsSchema, ServeDeploySchema

from deployments.aggregator import Aggregator
from deployments.analysis_runner import AnalysisRunner
from deployments.chunker import Chunker
from deployments.config import AppSettings
from deployments.frame_decoder import FrameDecoder
from deployments.ingress import Ingress
from deployments.model_choice import GPU_MODEL, choose_model
from deployments.orchestrator import Orchestrator
from deployments.serving.embedded_server import SERVE_ENVIRONMENT
from deployments.vision_language_model import CANARY_SECONDS, GRACE_SECONDS, VisionLanguageModel
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


@pytest.mark.parametrize("deployment", DEPLOYMENTS)
def test_a_replica_that_hangs_is_given_up_in_time_for_another(deployment: dict[str, Any]) -> None:
    period_seconds, timeout_seconds = deployment["health_check_period_s"], deployment["health_check_timeout_s"]
    assert period_seconds * 1.1 < timeout_seconds  # the next check starts at once after one that times out
    seconds = period_seconds * 1.1 + REPLICA_HEALTH_CHECK_UNHEALTHY_THRESHOLD * timeout_seconds
    assert seconds <= (40 if deployment["name"] == "VisionLanguageModel" else 15)
    assert timeout_seconds * REPLICA_HEALTH_CHECK_UNHEALTHY_THRESHOLD > 10  # of silence, on a busy machine


@pytest.mark.parametrize(
    "deployment", [AnalysisRunner, Aggregator, Chunker, FrameDecoder, Ingress, Orchestrator, VisionLanguageModel]
)
def test_every_deployment_is_checked_on_its_own_event_loop(deployment: type) -> None:
    assert inspect.iscoroutinefunction(getattr(deployment, HEALTH_CHECK_METHOD))


def test_an_engines_health_check_ends_before_serve_gives_it_up() -> None:
    for config in CONFIGS.values():
        (engine,) = [entry for entry in application_of(config)["deployments"] if entry["name"] == "VisionLanguageModel"]
        assert engine["health_check_timeout_s"] / 2 > CANARY_SECONDS + GRACE_SECONDS


def test_a_hung_engine_is_replaced_within_a_minute() -> None:
    for settings in ({"num_gpus": 1, "vllm_has_cuda": True}, {"num_gpus": 0, "vllm_has_cuda": False}):
        stall_seconds = choose_model(AppSettings(), **settings).stall_seconds
        (engine,) = [
            entry
            for entry in application_of(CONFIGS["serve_config.yaml"])["deployments"]
            if entry["name"] == "VisionLanguageModel"
        ]
        checks_seconds = 2 * 1.1 * engine["health_check_period_s"] + CANARY_SECONDS + GRACE_SECONDS
        assert stall_seconds + checks_seconds <= 60


def test_whoever_starts_ray_lets_serve_stop_hung_replicas_at_once() -> None:
    variable = "RAY_SERVE_FORCE_STOP_UNHEALTHY_REPLICAS"
    assert variable in vars(ray_serve_constants)
    assert SERVE_ENVIRONMENT[variable] == "1"
    for name, times in (("Makefile", 1), ("cluster.yaml", 2)):
        assert len(re.findall(rf"export {variable} ?:?= ?1", (ROOT / name).read_text())) == times, name


def test_it_listens_on_this_machine_only(config: Config) -> None:
    assert config["http_options"]["host"] == "127.0.0.1"
