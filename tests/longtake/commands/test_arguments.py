"""Arguments, and the defaults that --help names."""

from __future__ import annotations

import inspect
import re
import typing
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.models import OptionInfo

from deployments.api.options import DEFAULT_FPS
from deployments.ingress import build_http_app
from deployments.model_choice import DEMO_DEFAULTS, QWEN_TEMPERATURE, RequestDefaults
from longtake.commands.analyze import analyze
from longtake.commands.arguments import check_videos, options_of, seconds_of
from longtake.commands.plan import plan

FIELDS = {"start": "video_start", "end": "video_end", "merge": "aggregate"}
"""Of the API, where an option has another name."""
USUAL_CHUNK_SECONDS = inspect.signature(RequestDefaults).parameters["chunk_duration_seconds"].default
BY_MODEL = {
    "chunk_duration": f"{USUAL_CHUNK_SECONDS:g}, or {DEMO_DEFAULTS.chunk_duration_seconds:g} for the embedded model",
    "temperature": f"{QWEN_TEMPERATURE:g}, or {DEMO_DEFAULTS.temperature:g} for the embedded model",
    "fps": f"{DEFAULT_FPS:g}",
}
"""Defaults that the server chooses after it has read the request."""


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("1:30", 90), ("1:02:03.5", 3723.5), ("0:00", 0)])
def test_seconds_of(text: str, seconds: float) -> None:
    assert seconds_of(text, "--start") == seconds


def test_options_of() -> None:
    options = options_of(["temperature=0.2", "aggregation_prompt=Sing.", "logprobs=true"], fps=1.0, nframes=None)
    assert options == {"fps": 1.0, "temperature": 0.2, "aggregation_prompt": "Sing.", "logprobs": True}


@pytest.mark.parametrize("text", ["", "x", "1:75", "1:2:3:4", "-1"])
def test_what_is_not_a_time(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a time"):
        seconds_of(text, "--start")


def test_only_local_files_have_to_exist() -> None:
    check_videos([__file__, "https://example.com/cat.mp4", "file-" + "0" * 32])
    with pytest.raises(typer.BadParameter, match=r"There is no file nowhere\.mp4"):
        check_videos([__file__, "nowhere.mp4"])


# --- Help -------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fields() -> dict[str, Any]:
    """The server's request fields, from its OpenAPI document."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # FastAPI's, about names of operations
        properties: dict[str, Any] = build_http_app().openapi()["components"]["schemas"]["AnalysisRequest"][
            "properties"
        ]
    return properties


def options() -> Iterator[Any]:
    """The parameter's name, its help and its own default, for each option of the commands that send requests."""
    for command in (analyze, plan):
        hints = typing.get_type_hints(command, include_extras=True)
        for name, parameter in inspect.signature(command).parameters.items():
            (info,) = hints[name].__metadata__
            if isinstance(info, OptionInfo):
                yield pytest.param(name, info.help or "", parameter.default, id=f"{command.__name__}-{name}")


@pytest.mark.parametrize(("name", "text", "own_default"), [*options()])
def test_help_names_the_servers_defaults(name: str, text: str, own_default: Any, fields: dict[str, Any]) -> None:
    field = FIELDS.get(name, name)
    named = re.search(r"Default: (.*?)\.(?: |$)", text)
    if field not in fields:
        assert named is None
    elif isinstance(own_default, bool):
        assert own_default == fields[field]["default"]
    else:
        assert (named and named[1]) == expected_default(field, fields)


def expected_default(field: str, fields: dict[str, Any]) -> str | None:
    if field in BY_MODEL:
        assert fields[field].get("default") is None
        return BY_MODEL[field]
    default = fields[field].get("default")
    return None if default is None else f"{default:g}"
