"""The server that a command talks to: one that runs, or one that is started for it."""

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
from longtake.requests import ServerPath, Video, is_named

SERVER_PACKAGES = ("deployments", "pipeline", "ray", "vllm")
QUIET = {"VLLM_NO_USAGE_STATS": "1", "RAY_USAGE_STATS_ENABLED": "0", "RAY_worker_niceness": "0", "SVT_LOG": "1"}
"""As in the Makefile: nothing reports on its users, and decoders do not starve beside ordinary processes."""
END_TIMEOUT_SECONDS = 30.0
LAST_LINES = 15
"""Of the log of a server that did not start."""


class NoServer(ServerError):
    """None could be started."""


@dataclass(frozen=True)
class Session:
    """A server, and how videos are named to it."""

    client: Longtake
    is_own: bool
    """Whether it was started for this command, reads the files where they are, and ends with it."""

    def named(self, video: str) -> Video:
        if is_named(video):
            return video
        return ServerPath(str(Path(video).resolve())) if self.is_own else Path(video)


@contextmanager
def connected(server: str | None, model: str | None, videos: Sequence[str], console: Console) -> Iterator[Session]:
    """A server at that address; where none is given, one of its own, which ends with the block.

    Raises NoServer.
    """
    if server is not None:
        with Longtake(server) as client:
            yield Session(client, is_own=False)
        return
    folders = sorted({str(Path(video).resolve().parent) for video in videos if not is_named(video)})
    with own_server(model, folders, console) as url, Longtake(url) as client:
        yield Session(client, is_own=True)


@contextmanager
def own_server(model: str | None, folders: Sequence[str], console: Console) -> Iterator[str]:
    """The URL of a server in a process group of its own, so that Ctrl-C reaches it in order: after its client is gone.

    It may read videos below `folders`. Raises NoServer.
    """
    missing = [name for name in SERVER_PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise NoServer(
            f"The server's packages are not installed here ({', '.join(missing)}). Give the address of a server by "
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
            with console.status("Starting a server for this command (Ray, vLLM), which takes a minute or so"):
                told = process.stdout.readline()
            yield _url_of(told, log)
        finally:
            process.stdin.close()  # by which it knows that it is to end
            with console.status("Ending the server"):
                _wait(process)


def _url_of(told: str, log: TextIO) -> str:
    """Raises NoServer."""
    answer = json.loads(told) if told else {}
    if "url" in answer:
        return str(answer["url"])
    log.seek(0)
    last = "".join(log.readlines()[-LAST_LINES:]).strip()
    raise NoServer(f"The server did not start. {answer.get('error') or last}\n`longtake doctor` says what is missing.")


def _wait(process: subprocess.Popen[str]) -> None:
    try:
        process.wait(END_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
