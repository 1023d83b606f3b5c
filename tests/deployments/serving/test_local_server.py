"""The graph for another process: what it is told, and when it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PLAYED = """
import sys
from contextlib import contextmanager
from deployments.serving import local_server
from deployments.serving.embedded_server import ServerFailed

@contextmanager
def embedded_server(args):
    print("what Ray prints", args)
    if sys.argv[1] == "fails":
        raise ServerFailed("The graph did not come up.")
    yield "http://127.0.0.1:20000"
    print("ended in order")

local_server.embedded_server = embedded_server
sys.exit(local_server.main(sys.argv[2:]))
"""


def started(what: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PLAYED, what, *arguments],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_serves_until_its_stdin_ends() -> None:
    with started("serves", "--media-root", "/films", "--media-root", "/more", "--model", "some/model") as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline()) == {"url": "http://127.0.0.1:20000"}
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.5)
        told, log = process.communicate(timeout=30)
    assert (process.returncode, told) == (0, "")  # what others print is not on stdout
    assert "{'sources': {'media_roots': ['/films', '/more']}, 'model': 'some/model'}" in log
    assert "ended in order" in log


def test_it_says_why_it_does_not_serve() -> None:
    with started("fails") as process:
        told, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert json.loads(told) == {"error": "The graph did not come up."}
