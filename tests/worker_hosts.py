"""The processes that `pipeline.isolation.process` starts. Hosts are nobody's children: they are known by a variable."""

from __future__ import annotations

import os
from contextlib import suppress

import psutil

TEST_RUN = "LONGTAKE_TEST_RUN"


def worker_hosts(handler: str = "") -> list[psutil.Process]:
    """Those of this test run, of all handlers or of one."""
    ours = _of_this_run(handler)
    return [process for process in ours.values() if process.ppid() not in ours]


def forked_workers(handler: str = "") -> list[psutil.Process]:
    """What those hosts have forked."""
    ours = _of_this_run(handler)
    return [process for process in ours.values() if process.ppid() in ours]


def _of_this_run(handler: str) -> dict[int, psutil.Process]:
    """By pid. A worker has its host's command line and variables."""
    found = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            command = " ".join(process.cmdline())
            is_ours = "pipeline.isolation.host" in command and process.environ().get(TEST_RUN) == os.environ[TEST_RUN]
            if is_ours and handler in command:
                found[process.pid] = process
    return found
