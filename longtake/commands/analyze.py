"""`longtake analyze`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from longtake.commands import arguments
from longtake.commands.arguments import ANSWERS, OUTPUT, check_videos, fail, options_of
from longtake.commands.display import Stages, answer_shown, stages
from longtake.commands.exit_codes import ExitCode, exit_code_of
from longtake.commands.output import OF_ONE_ANSWER, Asked, Format, format_of, rendered, written
from longtake.commands.sessions import NoServer, Session, connected
from longtake.errors import ServerError, ServerUnreachable
from longtake.events import AnswerEvent
from longtake.options import AnalysisOptions
from longtake.requests import Video, is_named
from longtake.results import Answer


def analyze(
    videos: arguments.Videos,
    prompt: Annotated[str, typer.Option("--prompt", "-p", help="What to find out.", show_default=False)],
    follow_up: Annotated[
        list[str] | None,
        typer.Option(
            "--follow-up",
            "-f",
            help="A further question about each video, whose frames are not decoded again; may be given several times.",
            show_default=False,
        ),
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
    temperature: Annotated[
        float | None,
        typer.Option(help="0: the likeliest words each time; by model.", rich_help_panel=ANSWERS, show_default=False),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="The same gives the same answer.", rich_help_panel=ANSWERS, show_default=False)
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge/--no-merge", help="Whether chunk answers become one.", rich_help_panel=ANSWERS)
    ] = True,
    more: arguments.More = None,
    kind: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="Of the answers; by --output's name where it is not given. SRT, VTT and CSV hold them by their times.",
            rich_help_panel=OUTPUT,
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="A file, instead of the terminal; or a folder, for a file of each answer.",
            rich_help_panel=OUTPUT,
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=OUTPUT)] = False,
) -> None:
    """Ask about videos, and get one answer about each, with the video's own times.

    Without --server the whole of Longtake is started for this command: on a GPU with a real model, elsewhere with the
    small embedded one, which knows nothing but generated films.
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
        temperature=temperature,
        seed=seed,
        aggregate=None if merge else False,
        model=model if server else None,
    )
    prompts = [prompt, *(follow_up or [])]
    shown_format = format_of(kind, output)
    _check_output(output, shown_format, len(videos) * len(prompts))
    progress = Console(stderr=True, quiet=quiet)
    results: list[Asked] = []
    is_interrupted, is_shown = False, shown_format == Format.TEXT and output is None
    try:
        with connected(server, model, videos, progress) as session:
            for asked in _asked(session, videos, prompts, options, progress, is_quiet=quiet):
                results.append(asked)
                _tell(asked, progress, is_shown=is_shown, is_first=len(results) == 1)
    except NoServer as error:
        raise fail(str(error), ExitCode.NO_SERVER) from None
    except ServerUnreachable as error:
        results.append(Asked(videos[0], prompt, error=error))
        progress.print(f"Error: {error}", style="red", highlight=False)
    except KeyboardInterrupt:
        is_interrupted = True
        progress.print("Cancelled; the server was told to stop.", style="yellow")
    _write(results, shown_format, output, progress)
    raise typer.Exit(ExitCode.INTERRUPTED if is_interrupted else _exit_code(results))


def _asked(
    session: Session,
    videos: Sequence[str],
    prompts: Sequence[str],
    options: AnalysisOptions,
    console: Console,
    *,
    is_quiet: bool,
) -> Iterator[Asked]:
    """Each question about each video. A failure stands in its result, but for a server that is gone."""
    for video in videos:
        with _kept(session, video, len(prompts), console, is_quiet=is_quiet) as named:
            for prompt in prompts:
                try:
                    uploads = isinstance(named, Path)
                    heading = f"{_short(video)}: {prompt}"
                    with stages(console, heading, is_shown=not is_quiet, uploads=uploads) as shown:
                        answer = _answer(session, named, prompt, options, shown)
                    yield Asked(video, prompt, answer=answer)
                except ServerUnreachable:
                    raise
                except ServerError as error:
                    yield Asked(video, prompt, error=error)


def _answer(session: Session, video: Video, prompt: str, options: AnalysisOptions, shown: Stages) -> Answer:
    for event in session.client.stream(video, prompt, on_upload=shown.uploaded, **options):
        shown.happened(event)
        if isinstance(event, AnswerEvent):
            return event.answer
    raise AssertionError("a stream ends with its answer, or with an error")


@contextmanager
def _kept(session: Session, video: str, num_prompts: int, console: Console, *, is_quiet: bool) -> Iterator[Video]:
    """The video as the server knows it: sent once, where several questions are asked about a file."""
    if session.is_own or is_named(video) or num_prompts == 1:
        yield session.named(video)
        return
    heading = f"{_short(video)}: sent once, for {num_prompts} questions"
    with stages(console, heading, is_shown=not is_quiet, uploads=True, asks=False) as shown:
        file = session.client.files.upload(video, on_upload=shown.uploaded)
    try:
        yield file.id
    finally:
        session.client.files.delete(file.id)


def _tell(asked: Asked, progress: Console, *, is_shown: bool, is_first: bool) -> None:
    if asked.error is not None:
        progress.print(f"Error: {_short(asked.video)}: {asked.error}", style="red", highlight=False)
    elif asked.answer is not None and is_shown and sys.stdout.isatty():
        heading = f"{_short(asked.video)}: {asked.prompt}"
        Console().print(answer_shown(asked.answer, heading, with_notice=is_first))


def _write(results: Sequence[Asked], kind: Format, output: Path | None, progress: Console) -> None:
    if output is not None:
        for file in written(results, kind, output):
            progress.print(f"Written: {file}", highlight=False)
    elif kind != Format.TEXT or not sys.stdout.isatty():
        sys.stdout.write(rendered(results, kind))


def _check_output(output: Path | None, kind: Format, num_answers: int) -> None:
    is_folder = output is not None and output.is_dir()
    if kind in OF_ONE_ANSWER and num_answers > 1 and not is_folder:
        raise typer.BadParameter(
            f"{kind} holds one answer, and {num_answers} are asked for; give an existing folder by --output.",
            param_hint="--format",
        )
    if output is not None and not is_folder and not output.parent.is_dir():
        raise typer.BadParameter(f"the folder {output.parent} is not there.", param_hint="--output")


def _exit_code(results: Sequence[Asked]) -> ExitCode:
    answers = [asked.answer for asked in results if asked.answer and asked.answer.success]
    errors = [asked.error for asked in results if asked.error]
    if not answers:
        return exit_code_of(errors[0]) if errors else ExitCode.FAILED
    is_whole = len(answers) == len(results) and not any(answer.partial for answer in answers)
    return ExitCode.ANSWERED if is_whole else ExitCode.PARTIAL


def _short(video: str) -> str:
    """A name for people: no folder, and nothing of a URL that may be secret."""
    if video.startswith("data:"):
        return "data URL"
    return video.split("?", maxsplit=1)[0].rsplit("@", 1)[-1] if "://" in video else Path(video).name
