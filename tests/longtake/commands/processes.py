"""The command as a process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent.parent
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

_LONGTAKE = [sys.executable, "-m", "longtake.cli"]


def run(*arguments: str | Path, server: str | None = None, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"COLUMNS": "120"}
    environment.pop("LONGTAKE_SERVER", None)
    if server is not None:
        environment["LONGTAKE_SERVER"] = server
    command = [*_LONGTAKE, *map(str, arguments)]
    return subprocess.run(command, env=environment, cwd=cwd, capture_output=True, text=True, check=False, timeout=120)


@contextmanager
def started(*arguments: str | Path, server: str) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"LONGTAKE_SERVER": server}
    command = [*_LONGTAKE, *map(str, arguments)]
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # it may be ignored here, and then is below
    try:
        process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, handler)
    with process:
        try:
            yield process
        finally:
            process.kill()
