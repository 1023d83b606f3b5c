"""The whole server in a process tree of its own, which can be killed at one blow.

`python -m tests.services.whole_server FOLDER [URL]` serves the films in FOLDER/media, and keeps its state in
FOLDER/data or in the database at URL.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
READY = "serving at "
START_SECONDS = 280


class WholeServer:
    """Started when it is made; `kill` leaves nothing of it but what it stored."""

    def __init__(self, folder: Path, store_url: str | None = None) -> None:
        # Ray's sockets lie below it, and their paths have at most 107 bytes: pytest's folders are too deep.
        self._temp_dir = tempfile.mkdtemp(prefix="lt-")
        self._log = (folder / "server.log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", __spec__.name, str(folder), *filter(None, [store_url])],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=os.environ | {"PYTHONPATH": str(ROOT), "TMPDIR": self._temp_dir},
            text=True,
        )
        watchdog = threading.Timer(START_SECONDS, self.kill)
        watchdog.start()
        assert self._process.stdout
        line = next((line for line in self._process.stdout if line.startswith(READY)), "")
        watchdog.cancel()
        assert line, f"the server did not start: {(folder / 'server.log').read_text()[-2000:]}"
        self.url = line.removeprefix(READY).strip()

    def kill(self) -> None:
        """Every process of it, at the same moment: first they are all stopped, so that none sees another die."""
        root = psutil.Process(self._process.pid)
        tree = [root, *root.children(recursive=True)]
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for process in tree:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(number)
        self._process.wait()
        psutil.wait_procs(tree[1:], timeout=30)
        self._log.close()
        shutil.rmtree(self._temp_dir, ignore_errors=True)


def _serve(folder: Path, store: dict[str, Any]) -> None:
    from deployments.serving.embedded_server import embedded_server

    args = {
        "sources": {
            "media_roots": [str(folder / "media")],
            "upload_store": str(folder / "uploads"),
            "cache_dir": str(folder / "cache"),
        },
        "store": store | {"lease_seconds": 5},
    }
    with embedded_server(args) as url:
        print(READY + url, flush=True)
        while True:
            time.sleep(60)


if __name__ == "__main__":
    folder, *store_urls = sys.argv[1:]
    _serve(Path(folder), {"url": store_urls[0]} if store_urls else {"data_dir": f"{folder}/data"})
