"""`longtake doctor`."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from longtake import checks
from longtake.checks import Finding, Verdict
from longtake.commands import arguments
from longtake.commands.exit_codes import ExitCode

MARKS = {Verdict.OK: ("✓", "green"), Verdict.MISSING: ("✗", "red"), Verdict.NOTE: ("!", "yellow")}


def doctor(
    server: arguments.Server = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, for scripts.")] = False,
) -> None:
    """Check what Longtake needs on this machine, and show how to install what is missing.

    With --server, check only what the command needs to use that server. Exit status: 0 nothing is missing; 1 something
    is.
    """
    groups: list[tuple[str, Callable[[], Iterable[Finding]]]] = [("To use a server", checks.client_findings)]
    if server is None:
        groups.append(("To serve on this machine", checks.server_findings))
    else:
        groups.append(("The server", lambda: checks.remote_findings(server)))
    console = Console(quiet=as_json)
    findings = []
    for heading, found in groups:
        console.print(Text(heading, style="bold"))
        for finding in found():
            findings.append(finding)
            console.print(_line(finding))
    missing = [finding for finding in findings if finding.verdict is Verdict.MISSING]
    if as_json:
        typer.echo(json.dumps({"ok": not missing, "findings": [asdict(finding) for finding in findings]}, indent=2))
    elif missing:
        console.print(f"\nMissing: {', '.join(finding.what for finding in missing)}.", style="red", highlight=False)
    else:
        console.print("\nNothing is missing.", style="green")
    raise typer.Exit(ExitCode.FAILED if missing else ExitCode.ANSWERED)


def _line(finding: Finding) -> Table:
    mark, style = MARKS[finding.verdict]
    line = Table.grid(padding=(0, 1))
    line.add_column(width=3, justify="right", style=style)
    line.add_column(width=17)
    line.add_column(overflow="fold")
    line.add_row(mark, finding.what, finding.found)
    if finding.verdict is not Verdict.OK and finding.remedy:
        line.add_row("", "", Text(finding.remedy, style="dim"))
    return line
