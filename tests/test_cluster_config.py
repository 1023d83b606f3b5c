"""cluster.yaml against Ray's own schema, and against what serve_config.yaml asks of its nodes."""

import copy
import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import ray.autoscaler
import yaml
from ray._private.label_utils import validate_label_selector, validate_node_label_syntax
from ray._private.ray_constants import LABELS_ENVIRONMENT_VARIABLE, RESOURCES_ENVIRONMENT_VARIABLE
from ray._private.resource_and_label_spec import ResourceAndLabelSpec
from ray.autoscaler._private.util import prepare_config, validate_config

ROOT = Path(__file__).parent.parent
SCHEMA = Path(ray.autoscaler.__file__).parent / "ray-schema.json"
SHM_UNITS = {"m": 2**20, "g": 2**30}


def load_yaml(name: str) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load((ROOT / name).read_text())
    return config


CLUSTER = load_yaml("cluster.yaml")
NODE_TYPES: dict[str, dict[str, Any]] = CLUSTER["available_node_types"]


def served_deployments() -> list[dict[str, Any]]:
    if not (ROOT / "serve_config.yaml").exists():
        pytest.skip("there is no serve_config.yaml")
    return [
        deployment
        for application in load_yaml("serve_config.yaml")["applications"]
        for deployment in application.get("deployments", [])
    ]


def label_matches(labels: dict[str, str], key: str, condition: str) -> bool:
    """Ray's conditions: `value`, `!value`, `in(a, b)` and `!in(a, b)`."""
    listed = re.fullmatch(r"!?in\((.*)\)", condition)
    values = re.split(r", ?", listed[1]) if listed else [condition.removeprefix("!")]
    return (labels.get(key) in values) != condition.startswith("!")


def shm_bytes(run_options: list[str]) -> int:
    (size,) = [option.removeprefix("--shm-size=") for option in run_options if option.startswith("--shm-size=")]
    return int(size[:-1]) * SHM_UNITS[size[-1]]


def test_ray_accepts_the_cluster() -> None:
    validate_config(prepare_config(copy.deepcopy(CLUSTER)))


def test_schema_of_ray_has_every_key() -> None:
    jsonschema.validate(CLUSTER, json.loads(SCHEMA.read_text()))


def test_schema_refuses_an_unknown_key() -> None:
    mistyped = copy.deepcopy(CLUSTER)
    mistyped["available_node_types"]["decode"]["label"] = {}
    with pytest.raises(jsonschema.ValidationError, match="'label' was unexpected"):
        jsonschema.validate(mistyped, json.loads(SCHEMA.read_text()))


@pytest.mark.parametrize("name", NODE_TYPES)
def test_node_starts_with_its_resources_and_labels(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    resources, labels = NODE_TYPES[name]["resources"], NODE_TYPES[name].get("labels", {})
    validate_node_label_syntax(labels)
    # The launcher hands them to `ray start` in these two variables.
    monkeypatch.setenv(RESOURCES_ENVIRONMENT_VARIABLE, json.dumps(resources))
    monkeypatch.setenv(LABELS_ENVIRONMENT_VARIABLE, json.dumps(labels))
    # What Ray does with them before it looks at the machine, which has no such GPU.
    node = ResourceAndLabelSpec()
    node._resolve_resources(is_head=name == CLUSTER["head_node_type"], node_ip_address="127.0.0.1")
    node._resolve_labels(None)
    assert node.num_cpus == resources["CPU"]
    assert node.num_gpus == resources.get("GPU")
    assert node.object_store_memory == resources["object_store_memory"]
    assert node.labels is not None
    assert labels.items() <= node.labels.items()


@pytest.mark.parametrize("name", NODE_TYPES)
def test_object_store_fits_in_shared_memory(name: str) -> None:
    if name == CLUSTER["head_node_type"]:
        options = CLUSTER["docker"]["head_run_options"]
    else:
        options = NODE_TYPES[name]["docker"]["worker_run_options"]
    assert shm_bytes(options) > NODE_TYPES[name]["resources"]["object_store_memory"]


def test_nodes_are_set_up_by_the_projects_own_script() -> None:
    (command,) = CLUSTER["setup_commands"]
    (folder,) = CLUSTER["file_mounts"]
    assert command == f"cd {folder} && tools/setup.sh"
    assert os.access(ROOT / "tools/setup.sh", os.X_OK)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("decode", True),
        ("engine", False),
        ("!engine", True),
        ("in(engine, decode)", True),
        ("!in(decode)", False),
    ],
)
def test_label_conditions(condition: str, expected: bool) -> None:
    assert validate_label_selector({"role": condition}) is None
    assert label_matches({"role": "decode"}, "role", condition) is expected


def test_every_deployment_has_a_node_type() -> None:
    for deployment in served_deployments():
        options = deployment.get("ray_actor_options", {})
        selector = options.get("label_selector", {})
        assert validate_label_selector(selector) is None, deployment["name"]
        fitting = [
            name
            for name, node_type in NODE_TYPES.items()
            if all(label_matches(node_type.get("labels", {}), *condition) for condition in selector.items())
            and options.get("num_cpus", 1) <= node_type["resources"]["CPU"]
            and options.get("num_gpus", 0) <= node_type["resources"].get("GPU", 0)
        ]
        assert fitting, f"{deployment['name']}: no node type of cluster.yaml has {options}"
