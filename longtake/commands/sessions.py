"""The server that a command talks to: a running one, or one started for this command."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from rich.console import Console

from longtake.client import Longtake
from longtake.errors import ServerError
from longtake.videos import ServerPath, Video, is_local_file

SERVER_PACKAGES = ("deployments", "pipeline", "ray", "vllm")
QUIET = {"VLLM_NO_USAGE_STATS": "1", "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0", "SVT_LOG": "1"}
"""The Makefile's settings: no usage reports, and decoders run at the priority of ordinary processes."""
END_TIMEOUT_SECONDS = 30.0
LAST_LINES = 15
"""Lines shown of the log of a server that did not start."""


class NoServer(ServerError):
    """No server could be started."""


@dataclass(frozen=True)
class Session:
    """A server, and how to name videos to it."""

    client: Longtake
    is_own: bool
    """Whether it was started for this command: it reads files in place and stops with the command."""

    def named(self, video: str) -> Video:
        if not is_local_file(video):
            return video
        return ServerPath(str(Path(video).resolve())) if self.is_own else Path(video)


@contextmanager
def connected(server: str | None, model: str | None, videos: Sequence[str], console: Console) -> Iterator[Session]:
    """A session with the server at that address, or with one that is started for it and stops with the block.

    Raises NoServer.
    """
    if server is not None:
        with Longtake(server) as client:
            yield Session(client, is_own=False)
        return
    folders = sorted({str(Path(video).resolve().parent) for video in videos if is_local_file(video)})
    with own_server(model, folders, console) as url, Longtake(url) as client:
        yield Session(client, is_own=True)


@contextmanager
def own_server(model: str | None, folders: Sequence[str], console: Console) -> Iterator[str]:
    """The URL of a new server that may read videos below `folders`.

    It runs in a session of its own: Ctrl-C first ends the client, then the server. Raises NoServer.
    """
    missing = [name for name in SERVER_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise NoServer(
            f"No server can start here: {', '.join(missing)} not installed. Give the address of a server with "
            "--server or LONGTAKE_SERVER, or run `make setup` in a checkout of Longtake."
        )
    command = [sys.executable, "-m", "deployments.serving.local_server"]
    command += [argument for folder in folders for argument in ("--media-root", folder)]
    command += ["--model", model] if model else []
    with tempfile.TemporaryFile("w+", prefix="longtake-server-", suffix=".log") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=QUIET | os.environ,
            start_new_session=True,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            with console.status("Starting a server for this command (Ray, vLLM); this takes about a minute"):
                line = process.stdout.readline()
            yield _url_of(line, log)
        finally:
            process.stdin.close()  # which asks it to stop
            with console.status("Stopping the server"):
                _wait(process)


def _url_of(line: str, log: TextIO) -> str:
    """The URL that a server prints once it is ready. Raises NoServer if it printed an error, or nothing."""
    answer = json.loads(line) if line else {}
    if "url" in answer:
        return str(answer["url"])
    log.seek(0)
    last = "".join(log.readlines()[-LAST_LINES:]).strip()
    raise NoServer(f"The server did not start. {answer.get('error') or last}\n`longtake doctor` shows what is missing.")


def _wait(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(END_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
