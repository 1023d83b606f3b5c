"""A host forks workers, limits each piece of work, and ends with its last client."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import closing, suppress

import psutil
import pytest

from pipeline.errors import ServiceError
from pipeline.isolation.process import IsolatedProcess, WorkLimits, WorkLost
from tests.pipeline.isolation.fake_worker import FAKE_WORKER, LIMITS, wait_for


def test_memory_is_refused_above_the_limit(process: IsolatedProcess) -> None:
    assert process.call(("grow", 100 * 1024**2), LIMITS) == 100 * 1024**2
    with pytest.raises(WorkLost, match="failed with MemoryError"):
        process.call(("grow", 400 * 1024**2), LIMITS)
    assert process.call(("count", None), LIMITS)[0] == 3  # the same worker


def test_the_limit_counts_one_call_and_not_all(process: IsolatedProcess) -> None:
    for _ in range(3):
        process.call(("count", None), LIMITS)
        with pytest.raises(WorkLost):
            process.call(("spin", None), WorkLimits(0.5, LIMITS.memory_bytes))


def test_the_log_has_an_end(process: IsolatedProcess) -> None:
    assert process.call(("log", 50 * 1024**2), LIMITS) <= 1024**2


def test_what_is_kept_is_not_the_next_works_memory(process: IsolatedProcess) -> None:
    for count in range(1, 5):
        assert process.call(("keep", 150 * 1024**2), LIMITS) == count


def test_a_module_is_imported_once_and_for_all_workers(process: IsolatedProcess) -> None:
    module = "colorsys"
    before, _, first = process.call(("has", module), LIMITS)
    has_it, host, second = process.call(("has", module), LIMITS, module=module)
    assert (before, has_it) == (False, True)
    assert first != second
    assert process.call(("has", module), LIMITS, module=module) == (True, host, second)
    process.close_worker()
    assert process.call(("has", module), LIMITS)[:2] == (True, host)


def test_a_module_that_cannot_be_imported_is_an_error_and_not_the_end(process: IsolatedProcess) -> None:
    with pytest.raises(ServiceError):
        process.call(("has", "sys"), LIMITS, module="pipeline.nothing_of_this_name")
    assert process.call(("has", "sys"), LIMITS)[0]


def test_clients_that_say_nothing_or_nonsense_hold_nobody_up() -> None:
    process = IsolatedProcess(FAKE_WORKER)
    with closing(process):
        _, host, _ = process.call(("has", "sys"), LIMITS)
        name = psutil.Process(host).cmdline()[-1]
        with socket.socket(socket.AF_UNIX) as idle:
            idle.connect(f"\0{name}")
            process.close_worker()
            assert process.call(("count", None), LIMITS)[0] == 1
        with socket.socket(socket.AF_UNIX) as rude:
            rude.connect(f"\0{name}")
            rude.sendall(b"what?")
            with suppress(ConnectionResetError):
                assert rude.recv(1) == b""
        process.close_worker()
        assert process.call(("has", "sys"), LIMITS)[1] == host


def test_a_worker_dies_with_who_asked() -> None:
    """As a replica that is killed: its socket closes, the host ends, and the worker with it."""
    script = (
        "import os, signal, sys\n"
        "from pipeline.isolation.process import Ask, Cancellation, IsolatedProcess, WorkLimits\n"
        f"process = IsolatedProcess('{FAKE_WORKER}')\n"
        "_, pid = process.call(('count', None), WorkLimits(5, 10**9))\n"
        "print(pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    found = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False)
    worker = int(found.stdout)
    wait_for(lambda: not psutil.pid_exists(worker), "a worker outlived who asked for its work")
