"""`longtake plan`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from longtake.commands import arguments
from longtake.commands.arguments import OUTPUT, check_videos, failure, options_of
from longtake.commands.display import estimate_shown
from longtake.commands.exit_codes import ExitCode, exit_code_of
from longtake.commands.sessions import NoServer, connected
from longtake.errors import ServerError


def plan(
    videos: arguments.Videos,
    prompt: Annotated[
        str | None,
        typer.Option("--prompt", "-p", help="The prompt; its length adds a little to the cost.", show_default=False),
    ] = None,
    server: arguments.Server = None,
    model: arguments.Model = None,
    chunk_duration: arguments.ChunkDuration = None,
    chunk_overlap: arguments.ChunkOverlap = None,
    fps: arguments.Fps = None,
    nframes: arguments.Nframes = None,
    start: arguments.Start = None,
    end: arguments.End = None,
    max_pixels: arguments.MaxPixels = None,
    max_tokens: arguments.MaxTokens = None,
    more: arguments.More = None,
    chunks: Annotated[bool, typer.Option("--chunks", help="List every chunk.", rich_help_panel=OUTPUT)] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the server's JSON.", rich_help_panel=OUTPUT)] = False,
) -> None:
    """Show what an analysis would look at and cost, without running it.

    The expected time comes from what the server has measured since it started, so a server started for this command
    cannot give one.
    """
    check_videos(videos)
    options = options_of(
        more,
        chunk_duration=chunk_duration,
        chunk_overlap=chunk_overlap,
        fps=fps,
        nframes=nframes,
        video_start=start,
        video_end=end,
        max_pixels=max_pixels,
        max_tokens=max_tokens,
        model=model if server else None,
    )
    progress = Console(stderr=True)
    estimates = []
    try:
        with connected(server, model, videos, progress) as session:
            for video in videos:
                with progress.status(f"Planning {Path(video).name}"):
                    estimate = session.client.estimate(session.named(video), prompt, **options)
                estimates.append({"video": video, "estimate": estimate.raw})
                if not as_json:
                    Console().print(estimate_shown(estimate, Path(video).name, with_chunks=chunks))
    except NoServer as error:
        raise failure(str(error), ExitCode.NO_SERVER) from None
    except ServerError as error:
        raise failure(str(error), exit_code_of(error)) from None
    except KeyboardInterrupt:
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    if as_json:
        typer.echo(json.dumps({"estimates": estimates}, ensure_ascii=False, indent=2))
