"""Arguments that several subcommands share, and what they make of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from longtake.commands.exit_codes import ExitCode
from longtake.options import AnalysisOptions
from longtake.requests import SERVER_VARIABLE, is_named

SERVER, FRAMES, ANSWERS, OUTPUT = "Server", "Chunks and frames", "Answers", "Output"
"""Headings of --help."""

Videos = Annotated[
    list[str],
    typer.Argument(metavar="VIDEO", help="Files, URLs (http, https, s3, data) or ids of uploads.", show_default=False),
]
Server = Annotated[
    str | None,
    typer.Option(
        "--server",
        "-s",
        envvar=SERVER_VARIABLE,
        help="The address of a server. Without it one is started for this command alone.",
        rich_help_panel=SERVER,
        show_default=False,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="With --server: the model or adapter to ask. Without: what to serve, a folder or a Hugging Face id.",
        rich_help_panel=SERVER,
        show_default=False,
    ),
]


ChunkDuration = Annotated[
    float | None,
    typer.Option("--chunk-duration", "-c", help="Seconds of a chunk; 60.", rich_help_panel=FRAMES, show_default=False),
]
ChunkOverlap = Annotated[
    float | None,
    typer.Option(
        "--chunk-overlap", help="Seconds that neighbours share; 2.", rich_help_panel=FRAMES, show_default=False
    ),
]
Fps = Annotated[
    float | None,
    typer.Option("--fps", help="Frames looked at per second of video; 2.", rich_help_panel=FRAMES, show_default=False),
]
Nframes = Annotated[
    int | None,
    typer.Option(
        "--nframes", help="Frames of each chunk, instead of --fps.", rich_help_panel=FRAMES, show_default=False
    ),
]
Start = Annotated[
    str | None,
    typer.Option(
        "--start", help="Where to begin: seconds, MM:SS or H:MM:SS.", rich_help_panel=FRAMES, show_default=False
    ),
]
End = Annotated[
    str | None,
    typer.Option("--end", help="Where to end.", rich_help_panel=FRAMES, show_default=False),
]
MaxPixels = Annotated[
    int | None,
    typer.Option("--max-pixels", help="Of each frame; by model.", rich_help_panel=FRAMES, show_default=False),
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        help="Of each chunk's answer, and of the merged one; 512.", rich_help_panel=ANSWERS, show_default=False
    ),
]
More = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Any other field of the API, its value as JSON or as text; may be given several times.",
        rich_help_panel=ANSWERS,
        show_default=False,
    ),
]


def options_of(more: list[str] | None, **fields: Any) -> AnalysisOptions:
    """The fields that were given, with those of --set over them. Raises typer.BadParameter."""
    options = {name: value for name, value in fields.items() if value is not None}
    for name, parameter in (("video_start", "--start"), ("video_end", "--end")):
        if name in options:
            options[name] = seconds_of(options[name], parameter)
    for item in more or []:
        name, equals, value = item.partition("=")
        if not equals or not name:
            raise typer.BadParameter(f"{item!r} is not FIELD=VALUE, such as temperature=0.2.", param_hint="--set")
        try:
            options[name.replace("-", "_")] = json.loads(value)
        except ValueError:
            options[name.replace("-", "_")] = value
    return cast(AnalysisOptions, options)


def seconds_of(text: str, parameter: str) -> float:
    """Of `90`, `1:30` or `1:02:03.5`. Raises typer.BadParameter."""
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        parts = []
    if not 1 <= len(parts) <= 3 or any(part < 0 for part in parts) or any(part >= 60 for part in parts[1:]):
        raise typer.BadParameter(f"{text!r} is no time; give seconds, MM:SS or H:MM:SS.", param_hint=parameter)
    return sum(part * 60.0**place for place, part in enumerate(reversed(parts)))


def check_videos(videos: list[str]) -> None:
    """Before a server is started for them. Raises typer.BadParameter."""
    for video in videos:
        if not is_named(video) and not Path(video).is_file():
            raise typer.BadParameter(f"{video} is not there. Give a file, a URL or the id of an upload.")


def fail(message: str, code: ExitCode) -> typer.Exit:
    """To be raised; the message is told."""
    typer.secho(f"Error: {message}", fg=typer.colors.RED, err=True)
    return typer.Exit(code)
