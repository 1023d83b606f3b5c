"""Arguments that several subcommands share, and how to validate them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from longtake.commands.exit_codes import ExitCode
from longtake.options import AnalysisOptions
from longtake.requests import SERVER_VARIABLE
from longtake.videos import is_local_file

SERVER, FRAMES, ANSWERS, OUTPUT = "Server", "Chunks and frames", "Answers", "Output"
"""Headings of --help."""

# The server chooses the defaults; tests/longtake/commands/test_arguments.py compares those named here with its own.
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
        help="Address of a running server. Without it, the command starts a server of its own.",
        rich_help_panel=SERVER,
        show_default=False,
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        help="With --server: the model or adapter to use. Without: the model to serve, a folder or a Hugging Face id.",
        rich_help_panel=SERVER,
        show_default=False,
    ),
]
ChunkDuration = Annotated[
    float | None,
    typer.Option(
        "--chunk-duration",
        "-c",
        help="Seconds per chunk. Default: 60, or 30 for the embedded model.",
        rich_help_panel=FRAMES,
        show_default=False,
    ),
]
ChunkOverlap = Annotated[
    float | None,
    typer.Option(
        "--chunk-overlap",
        help="Seconds that neighbouring chunks share. Default: 2.",
        rich_help_panel=FRAMES,
        show_default=False,
    ),
]
Fps = Annotated[
    float | None,
    typer.Option(
        "--fps",
        help="Frames to sample per second of video. Default: 2.",
        rich_help_panel=FRAMES,
        show_default=False,
    ),
]
Nframes = Annotated[
    int | None,
    typer.Option(
        "--nframes", help="Frames to sample per chunk, instead of --fps.", rich_help_panel=FRAMES, show_default=False
    ),
]
Start = Annotated[
    str | None,
    typer.Option(
        "--start",
        help="Where to start: seconds, MM:SS or H:MM:SS. Default: 0.",
        rich_help_panel=FRAMES,
        show_default=False,
    ),
]
End = Annotated[
    str | None,
    typer.Option(
        "--end",
        help="Where to stop: seconds, MM:SS or H:MM:SS. Without it, the video's end.",
        rich_help_panel=FRAMES,
        show_default=False,
    ),
]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        "--max-pixels",
        help="Most pixels per frame. The default depends on the model.",
        rich_help_panel=FRAMES,
        show_default=False,
    ),
]
MaxTokens = Annotated[
    int | None,
    typer.Option(
        help="Most tokens of each chunk's answer, and of the merged one. Default: 512.",
        rich_help_panel=ANSWERS,
        show_default=False,
    ),
]
Temperature = Annotated[
    float | None,
    typer.Option(
        help="0 takes the likeliest token each time. Default: 0.7, or 0 for the embedded model.",
        rich_help_panel=ANSWERS,
        show_default=False,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option(help="The same seed gives the same answer.", rich_help_panel=ANSWERS, show_default=False),
]
Merge = Annotated[
    bool, typer.Option("--merge/--no-merge", help="Merge the chunk answers into one.", rich_help_panel=ANSWERS)
]
More = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Any other field of the API, with a value in JSON or plain text. Repeat it for more fields.",
        rich_help_panel=ANSWERS,
        show_default=False,
    ),
]


def options_of(more: list[str] | None, **fields: Any) -> AnalysisOptions:
    """The fields that were given; those of --set win. Raises typer.BadParameter."""
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
    """The seconds in `90`, `1:30` or `1:02:03.5`. Raises typer.BadParameter."""
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        parts = []
    if not 1 <= len(parts) <= 3 or any(part < 0 for part in parts) or any(part >= 60 for part in parts[1:]):
        raise typer.BadParameter(f"{text!r} is not a time; give seconds, MM:SS or H:MM:SS.", param_hint=parameter)
    return sum(part * 60.0**place for place, part in enumerate(reversed(parts)))


def check_videos(videos: list[str]) -> None:
    """Raise typer.BadParameter for a file that does not exist, before a server starts."""
    for video in videos:
        if is_local_file(video) and not Path(video).is_file():
            raise typer.BadParameter(f"There is no file {video}. Give a file, a URL or the id of an upload.")


def failure(message: str, code: ExitCode) -> typer.Exit:
    """Print an error, and return the exit to raise."""
    typer.secho(f"Error: {message}", fg=typer.colors.RED, err=True)
    return typer.Exit(code)
