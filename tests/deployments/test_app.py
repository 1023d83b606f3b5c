"""The graph that Serve builds, and the builder that it calls."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from ray.serve._private.build_app import build_app as build_serve_app

from deployments.app import build_app, build_graph
from deployments.config import AppSettings
from deployments.model_choice import choose_model
from tests.serve_configs import CONFIGS, application_of


@pytest.fixture(params=sorted(CONFIGS))
def application(request: pytest.FixtureRequest) -> dict[str, Any]:
    return application_of(CONFIGS[request.param])


def test_it_names_the_deployments_of_the_graph(application: dict[str, Any]) -> None:
    settings = AppSettings(**application["args"])
    choice = choose_model(settings, num_gpus=settings.gpus_per_engine, vllm_has_cuda=True)
    graph = build_serve_app(
        build_graph(settings, choice), name="longtake", default_runtime_env={}, make_deployment_handle=lambda *_: None
    )
    names = {deployment["name"] for deployment in application["deployments"]}
    assert {deployment.name for deployment in graph.deployments} == names
    assert graph.ingress_deployment_name == "Ingress"


def test_it_imports_our_builder(application: dict[str, Any]) -> None:
    assert application["import_path"] == f"{build_app.__module__}:{build_app.__name__}"
    (parameter,) = inspect.signature(build_app).parameters.values()
    assert parameter.annotation is AppSettings  # a string would make Serve pass the bare dict, unchecked
