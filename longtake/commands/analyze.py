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
from longtake.commands.arguments import OUTPUT, check_videos, failure, options_of
from longtake.commands.display import Stages, answer_shown, stages
from longtake.commands.exit_codes import ExitCode, exit_code_of
from longtake.commands.output import OF_ONE_ANSWER, Format, Outcome, format_of, rendered, write
from longtake.commands.sessions import NoServer, Session, connected
from longtake.errors import ServerError, ServerUnreachable
from longtake.events import AnswerEvent
from longtake.options import AnalysisOptions
from longtake.results import Answer
from longtake.videos import Video, is_local_file


def analyze(
    videos: arguments.Videos,
    prompt: Annotated[str, typer.Option("--prompt", "-p", help="What to find out.", show_default=False)],
    follow_up: Annotated[
        list[str] | None,
        typer.Option(
            "--follow-up",
            "-f",
            help="Another question about each video, which reuses its decoded frames. Repeat it for more questions.",
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
    temperature: arguments.Temperature = None,
    seed: arguments.Seed = None,
    merge: arguments.Merge = True,
    more: arguments.More = None,
    kind: Annotated[
        Format | None,
        typer.Option(
            "--format",
            help="Format of the answers, by default that of --output's suffix. SRT, VTT and CSV list them by time.",
            rich_help_panel=OUTPUT,
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="A file to write instead of the terminal, or an existing folder for one file per answer.",
            rich_help_panel=OUTPUT,
            show_default=False,
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.", rich_help_panel=OUTPUT)] = False,
) -> None:
    """Ask questions about videos. Answers give the times in the video.

    Without --server, the command starts a server for itself: with a full-size model on a GPU, elsewhere with the small
    embedded model, which understands only generated films.
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
    chosen_format = format_of(kind, output)
    _check_output(output, chosen_format, len(videos) * len(prompts))
    progress = Console(stderr=True, quiet=quiet)
    outcomes: list[Outcome] = []
    is_interrupted, is_shown = False, chosen_format == Format.TEXT and output is None
    try:
        with connected(server, model, videos, progress) as session:
            for outcome in _outcomes(session, videos, prompts, options, progress, is_quiet=quiet):
                outcomes.append(outcome)
                _show(outcome, progress, is_shown=is_shown, is_first=len(outcomes) == 1)
    except NoServer as error:
        raise failure(str(error), ExitCode.NO_SERVER) from None
    except ServerUnreachable as error:
        outcomes.append(Outcome(videos[0], prompt, error=error))
        progress.print(f"Error: {error}", style="red", highlight=False)
    except KeyboardInterrupt:
        is_interrupted = True
        progress.print("Cancelled, on the server too.", style="yellow")
    _write(outcomes, chosen_format, output, progress)
    raise typer.Exit(ExitCode.INTERRUPTED if is_interrupted else _exit_code(outcomes))


def _outcomes(
    session: Session,
    videos: Sequence[str],
    prompts: Sequence[str],
    options: AnalysisOptions,
    console: Console,
    *,
    is_quiet: bool,
) -> Iterator[Outcome]:
    """One outcome for each question about each video. Raises ServerUnreachable; other failures are outcomes."""
    for video in videos:
        with _uploaded_once(session, video, len(prompts), console, is_quiet=is_quiet) as named:
            for prompt in prompts:
                try:
                    uploads = isinstance(named, Path)
                    heading = f"{_short(video)}: {prompt}"
                    with stages(console, heading, is_shown=not is_quiet, uploads=uploads) as shown:
                        answer = _answer(session, named, prompt, options, shown)
                    yield Outcome(video, prompt, answer=answer)
                except ServerUnreachable:
                    raise
                except ServerError as error:
                    yield Outcome(video, prompt, error=error)


def _answer(session: Session, video: Video, prompt: str, options: AnalysisOptions, shown: Stages) -> Answer:
    for event in session.client.stream(video, prompt, on_upload=shown.update_upload, **options):
        shown.update(event)
        if isinstance(event, AnswerEvent):
            return event.answer
    raise AssertionError("a stream ends with its answer, or with an error")


@contextmanager
def _uploaded_once(
    session: Session, video: str, num_prompts: int, console: Console, *, is_quiet: bool
) -> Iterator[Video]:
    """The video as requests name it: a file that several questions are about is uploaded once, and deleted after."""
    if session.is_own or not is_local_file(video) or num_prompts == 1:
        yield session.named(video)
        return
    heading = f"{_short(video)}: uploading once for {num_prompts} questions"
    with stages(console, heading, is_shown=not is_quiet, uploads=True, asks=False) as shown:
        file = session.client.files.upload(video, on_upload=shown.update_upload)
    try:
        yield file.id
    finally:
        session.client.files.delete(file.id)


def _show(outcome: Outcome, progress: Console, *, is_shown: bool, is_first: bool) -> None:
    if outcome.error is not None:
        progress.print(f"Error: {_short(outcome.video)}: {outcome.error}", style="red", highlight=False)
    elif outcome.answer is not None and is_shown and sys.stdout.isatty():
        heading = f"{_short(outcome.video)}: {outcome.prompt}"
        Console().print(answer_shown(outcome.answer, heading, with_notice=is_first))


def _write(outcomes: Sequence[Outcome], kind: Format, output: Path | None, progress: Console) -> None:
    if output is not None:
        for file in write(outcomes, kind, output):
            progress.print(f"Wrote {file}", highlight=False)
    elif kind != Format.TEXT or not sys.stdout.isatty():
        sys.stdout.write(rendered(outcomes, kind))


def _check_output(output: Path | None, kind: Format, num_answers: int) -> None:
    """Raise typer.BadParameter for an output that cannot hold the answers, before any question is asked."""
    is_folder = output is not None and output.is_dir()
    if kind in OF_ONE_ANSWER and num_answers > 1 and not is_folder:
        raise typer.BadParameter(
            f"{kind} holds one answer, but there will be {num_answers}; give an existing folder with --output.",
            param_hint="--format",
        )
    if output is not None and not is_folder and not output.parent.is_dir():
        raise typer.BadParameter(f"There is no folder {output.parent}; create it first.", param_hint="--output")


def _exit_code(outcomes: Sequence[Outcome]) -> ExitCode:
    answers = [outcome.answer for outcome in outcomes if outcome.answer and outcome.answer.success]
    errors = [outcome.error for outcome in outcomes if outcome.error]
    if not answers:
        return exit_code_of(errors[0]) if errors else ExitCode.FAILED
    is_whole = len(answers) == len(outcomes) and not any(answer.partial for answer in answers)
    return ExitCode.ANSWERED if is_whole else ExitCode.PARTIAL


def _short(video: str) -> str:
    """A name to show: without folders, and without parts of a URL that may be secret."""
    if video.startswith("data:"):
        return "data URL"
    return video.split("?", maxsplit=1)[0].rsplit("@", 1)[-1] if "://" in video else Path(video).name
