"""The application's arguments: invalid values, and defaults."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from deployments.config import ARGS_WITH_SETTINGS, AppSettings
from tests.serve_configs import CONFIGS, application_of


@pytest.fixture(params=sorted(CONFIGS))
def application(request: pytest.FixtureRequest) -> dict[str, Any]:
    return application_of(CONFIGS[request.param])


@pytest.mark.parametrize(
    ("path", "args"),
    [
        ("tensor_paralel_size", {"tensor_paralel_size": 2}),
        ("sources.media_root", {"sources": {"media_root": "/data"}}),
        ("limits.max_duration", {"limits": {"max_duration": 60}}),
        ("analysis.chunk_timeout", {"analysis": {"chunk_timeout": 60}}),
    ],
)
def test_a_misspelt_argument_is_refused(path: str, args: dict[str, Any], application: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="Extra inputs are not permitted") as caught:
        AppSettings(**{**application["args"], **args})
    assert [".".join(str(part) for part in error["loc"]) for error in caught.value.errors()] == [path]


@pytest.mark.parametrize("name", ARGS_WITH_SETTINGS)
def test_an_engine_argument_by_which_gpus_are_reserved_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=f"set {ARGS_WITH_SETTINGS[name]} instead of {name}"):
        AppSettings(engine_args={name: 2})
