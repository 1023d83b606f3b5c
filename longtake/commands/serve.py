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
from longtake.commands.arguments import SERVER, failure
from longtake.commands.exit_codes import ExitCode
from longtake.commands.sessions import QUIET

CONFIG_NAME = "serve_config.yaml"


def serve(
    config: Annotated[
        Path | None,
        typer.Argument(
            metavar="CONFIG",
            help=f"A configuration of Ray Serve. By default {CONFIG_NAME} in this folder, else that of the checkout.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str | None,
        typer.Option(
            help="Address to listen on; 0.0.0.0 serves other machines.", rich_help_panel=SERVER, show_default=False
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, metavar="PORT", help="HTTP port.", rich_help_panel=SERVER, show_default=False),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Model to serve: a folder or a Hugging Face id.", rich_help_panel=SERVER, show_default=False),
    ] = None,
) -> None:
    """Serve Longtake until Ctrl-C.

    Options override the configuration.
    """
    home = _home()
    path = config or next((path for path in (Path(CONFIG_NAME), home / CONFIG_NAME) if path.is_file()), None)
    if path is None or not path.is_file():
        raise failure(
            f"There is no {path or CONFIG_NAME}. A checkout of Longtake contains {CONFIG_NAME}.", ExitCode.USAGE
        )
    with configured(path, host, port, model) as (file, address):
        if not is_port_free(address[1], address[0]):
            raise failure(
                f"Port {address[1]} of {address[0]} is taken, perhaps by a running server. Give another with --port.",
                ExitCode.NO_SERVER,
            )
        typer.echo(f"Starting {path} at http://{address[0]}:{address[1]}; Ctrl-C stops it.", err=True)
        raise typer.Exit(run_until_stopped([_serve_command(), "run", "--app-dir", str(home), str(file)]))


def _home() -> Path:
    """The checkout's folder, which contains the server's packages."""
    found = importlib.util.find_spec("deployments")
    if found is None or found.origin is None:
        raise failure(
            "The server's packages are not installed; run `make setup` in a checkout of Longtake.",
            ExitCode.NO_SERVER,
        )
    return Path(found.origin).parent.parent


def _serve_command() -> str:
    """Ray Serve's command, of this environment."""
    beside = Path(sys.executable).parent / "serve"
    command = str(beside) if beside.exists() else shutil.which("serve")
    if command is None:
        raise failure("Ray Serve is not installed; run `make setup` in a checkout of Longtake.", ExitCode.NO_SERVER)
    return command


@contextmanager
def configured(
    path: Path, host: str | None, port: int | None, model: str | None
) -> Iterator[tuple[Path, tuple[str, int]]]:
    """The configuration to run, a copy if an option changes it, and the address that it serves at."""
    import yaml  # noqa: PLC0415  # a package of the server's; `--help` works without it

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


def run_until_stopped(command: list[str]) -> int:
    """Run Ray Serve's command and return its exit status, or 0 if a signal stopped it.

    Ray Serve shuts down in order on SIGINT and aborts on SIGTERM, so both reach it as one SIGINT. It runs in a session
    of its own, where the terminal does not send it a second one.
    """
    is_stopped = False

    def stop(*_: object) -> None:
        nonlocal is_stopped
        is_stopped = True
        process.send_signal(signal.SIGINT)

    # A script that starts this in the background ignores SIGINT, which the child would inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, env=QUIET | os.environ, start_new_session=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    status = process.wait()
    return ExitCode.FAILED if status and not is_stopped else ExitCode.ANSWERED
