"""`longtake serve`."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from longtake.checks import is_port_free
from longtake.commands.arguments import SERVER, fail
from longtake.commands.exit_codes import ExitCode
from longtake.commands.sessions import QUIET

CONFIG_NAME = "serve_config.yaml"


def serve(
    config: Annotated[
        Path | None,
        typer.Argument(
            metavar="CONFIG",
            help=f"What to serve; {CONFIG_NAME} here, or beside the server's packages, where it is not given.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(help="0.0.0.0 serves other machines.", rich_help_panel=SERVER, show_default=False),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, metavar="PORT", help="Of HTTP.", rich_help_panel=SERVER, show_default=False),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="A folder or a Hugging Face id.", rich_help_panel=SERVER, show_default=False),
    ] = None,
) -> None:
    """Serve Longtake until Ctrl-C, by a configuration of Ray Serve's.

    Options here win over the configuration's.
    """
    home = _home()
    path = config or next((path for path in (Path(CONFIG_NAME), home / CONFIG_NAME) if path.is_file()), None)
    if path is None or not path.is_file():
        raise fail(f"There is no {path or CONFIG_NAME}. It comes with a checkout of Longtake.", ExitCode.USAGE)
    with _configured(path, host, port, model) as (file, address):
        if not is_port_free(address[1], address[0]):
            raise fail(
                f"Port {address[1]} of {address[0]} is taken, perhaps by a server that runs already. Give another by "
                "--port.",
                ExitCode.NO_SERVER,
            )
        typer.echo(f"Serving {path} at http://{address[0]}:{address[1]}, once it is up; Ctrl-C ends it.", err=True)
        raise typer.Exit(_run([_serve_command(), "run", "--app-dir", str(home), str(file)]))


def _home() -> Path:
    """The folder of the server's packages."""
    found = importlib.util.find_spec("deployments")
    if found is None or found.origin is None:
        raise fail(
            "The server's packages are not installed here; run `make setup` in a checkout of Longtake.",
            ExitCode.NO_SERVER,
        )
    return Path(found.origin).parent.parent


def _serve_command() -> str:
    """Ray Serve's own, of this environment."""
    beside = Path(sys.executable).parent / "serve"
    command = str(beside) if beside.exists() else shutil.which("serve")
    if command is None:
        raise fail("Ray Serve is not installed here; run `make setup` in a checkout of Longtake.", ExitCode.NO_SERVER)
    return command


@contextmanager
def _configured(
    path: Path, host: str | None, port: int | None, model: str | None
) -> Iterator[tuple[Path, tuple[str, int]]]:
    """The configuration to run, and the address that it serves at: a copy, where an option changes it."""
    import yaml  # noqa: PLC0415  # one of the server's packages, which the client and `--help` do without

    raw: dict[str, Any] = yaml.safe_load(path.read_text())
    http = {"host": "127.0.0.1", "port": 8000} | (raw.get("http_options") or {})
    given = {name: value for name, value in (("host", host), ("port", port)) if value is not None}
    raw["http_options"] = http | given
    address = str(raw["http_options"]["host"]), int(raw["http_options"]["port"])
    if model is not None:
        raw["applications"][0].setdefault("args", {})["model"] = model
    if not given and model is None:
        yield path, address
        return
    with tempfile.TemporaryDirectory(prefix="longtake-") as folder:
        copy = Path(folder) / path.name
        copy.write_text(yaml.safe_dump(raw, sort_keys=False))
        yield copy, address


def _run(command: list[str]) -> int:
    """Its exit status; 0 where it was asked to end.

    Ctrl-C and SIGTERM reach it as one SIGINT, on which Ray Serve ends in order; of SIGTERM it would abort. So it is in
    a session of its own, out of the terminal's reach.
    """
    is_ended = False

    def end(*_: object) -> None:
        nonlocal is_ended
        is_ended = True
        process.send_signal(signal.SIGINT)

    # Where a script starts this in the background, SIGINT is ignored, and what is started here would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, env=QUIET | os.environ, start_new_session=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    status = process.wait()
    return ExitCode.ANSWERED if is_ended else ExitCode.FAILED if status else ExitCode.ANSWERED
