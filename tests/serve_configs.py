"""The checkout's serve_config.yaml and its profiles, as YAML has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent
Config = dict[str, Any]
CONFIGS: dict[str, Config] = {path.name: yaml.safe_load(path.read_text()) for path in ROOT.glob("serve_config*.yaml")}


def application_of(config: Config) -> dict[str, Any]:
    """The only application of a configuration."""
    only: dict[str, Any]
    (only,) = config["applications"]
    return only
