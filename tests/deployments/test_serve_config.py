"""serve_config.yaml against Ray's schema, the graph and our own settings: Serve takes unknown keys without a word."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError
from ray.serve._private.build_app import build_app as build_serve_app
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import DeploymentSchema, RayActorOptionsSchema, ServeDeploySchema

from deployments.app import build_app, build_graph
from deployments.config import AppSettings
from deployments.model_choice import choose_model

ROOT = Path(__file__).parent.parent.parent
CONFIG: dict[str, Any] = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
(APPLICATION,) = CONFIG["applications"]
DEPLOYMENTS: list[dict[str, Any]] = APPLICATION["deployments"]


def names(deployment: dict[str, Any]) -> str:
    name: str = deployment["name"]
    return name


def test_serve_accepts_it() -> None:
    ServeDeploySchema.model_validate(CONFIG)


def test_every_application_key_is_one_of_serves() -> None:
    (schema,) = ServeDeploySchema.model_validate(CONFIG).applications
    assert set(APPLICATION) <= set(type(schema).model_fields)
    assert set(CONFIG) <= set(ServeDeploySchema.model_fields)


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=names)
def test_every_deployment_key_is_one_of_serves(deployment: dict[str, Any]) -> None:
    assert set(deployment) <= set(DeploymentSchema.model_fields)
    assert set(deployment["autoscaling_config"]) <= set(AutoscalingConfig.model_fields)
    assert set(deployment.get("ray_actor_options", {})) <= set(RayActorOptionsSchema.model_fields)


def test_it_names_the_deployments_of_the_graph() -> None:
    settings = AppSettings(**APPLICATION["args"])
    choice = choose_model(settings, num_gpus=0, vllm_has_cuda=False)
    graph = build_serve_app(
        build_graph(settings, choice), name="longtake", default_runtime_env={}, make_deployment_handle=lambda *_: None
    )
    assert {deployment.name for deployment in graph.deployments} == {names(deployment) for deployment in DEPLOYMENTS}
    assert graph.ingress_deployment_name == "Ingress"


def test_it_imports_our_builder() -> None:
    assert APPLICATION["import_path"] == f"{build_app.__module__}:{build_app.__name__}"
    (parameter,) = inspect.signature(build_app).parameters.values()
    assert parameter.annotation is AppSettings  # a string would make Serve pass the bare dict, unchecked


def test_its_args_are_the_settings() -> None:
    settings = AppSettings(**APPLICATION["args"])
    assert settings.model == "auto"
    assert settings.sources.media_roots == ()


@pytest.mark.parametrize(
    ("path", "args"),
    [
        ("tensor_paralel_size", {"tensor_paralel_size": 2}),
        ("sources.media_root", {"sources": {"media_root": "/data"}}),
        ("limits.max_duration", {"limits": {"max_duration": 60}}),
        ("analysis.chunk_timeout", {"analysis": {"chunk_timeout": 60}}),
    ],
)
def test_a_misspelt_argument_is_refused(path: str, args: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted") as caught:
        AppSettings(**{**APPLICATION["args"], **args})
    assert [".".join(str(part) for part in error["loc"]) for error in caught.value.errors()] == [path]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=names)
def test_every_stage_scales(deployment: dict[str, Any]) -> None:
    autoscaling = AutoscalingConfig(**deployment["autoscaling_config"])
    assert autoscaling.min_replicas >= 1
    assert "num_replicas" not in deployment
    assert (autoscaling.target_ongoing_requests or 0) <= deployment["max_ongoing_requests"]


def test_it_listens_on_this_machine_only() -> None:
    assert CONFIG["http_options"]["host"] == "127.0.0.1"
