"""The command and its subcommands."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from longtake.commands.analyze import analyze
from longtake.commands.doctor import doctor
from longtake.commands.exit_codes import EXPLAINED
from longtake.commands.plan import plan
from longtake.commands.serve import serve

app = typer.Typer(
    name="longtake",
    help="Ask questions about videos of any length.",
    epilog="Start with: longtake doctor",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(epilog=EXPLAINED)(analyze)
app.command()(plan)
app.command()(serve)
app.command()(doctor)


def _print_version(is_given: bool) -> None:
    if is_given:
        typer.echo(f"longtake {version('longtake')}")
        raise typer.Exit


@app.callback()
def _root(
    is_version_given: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass
