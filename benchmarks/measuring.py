"""What a piece of work takes: each time in a process of its own, warmed up before the clock starts."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import psutil

SAMPLES_PER_SECOND = 10
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Measured:
    """One run of a method."""

    cpu_seconds: float
    """User and system, of the process and all that it starts."""
    wall_seconds: float
    peak_bytes: int
    """Proportional set size of them all: what they share counts once."""
    idle_bytes: int
    """Of that, what stood before the work began: libraries, most of it torch's."""


@dataclass(frozen=True)
class Method:
    """A way to do a piece of work."""

    name: str
    prepare: Callable[[], Callable[[], Any]]
    """Imports and warms up, and gives what is measured."""


def measured(method: Method) -> Measured:
    outcome: Measured = _in_a_new_process(_measure, method)
    return outcome


def result_of(method: Method) -> Any:
    """What its work gives, not measured."""
    return _in_a_new_process(_do, method)


def interleaved(methods: list[Method], rounds: int) -> dict[str, list[Measured]]:
    """All methods once, then all again: what else the machine does meets each alike."""
    runs: dict[str, list[Measured]] = {method.name: [] for method in methods}
    for _ in range(rounds):
        for method in methods:
            runs[method.name].append(measured(method))
    return runs


def median_of(runs: list[Measured], what: Callable[[Measured], float]) -> float:
    return median(what(run) for run in runs)


def _in_a_new_process(act: Callable[[Method], Any], method: Method) -> Any:
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_act, args=(act, method, theirs))
    process.start()
    theirs.close()
    try:
        return ours.recv()
    finally:
        process.join()


def _act(act: Callable[[Method], Any], method: Method, connection: Connection) -> None:
    connection.send(act(method))
    connection.close()
    for child in psutil.Process().children(recursive=True):
        child.kill()
    os._exit(0)


def _do(method: Method) -> Any:
    return method.prepare()()


def _measure(method: Method) -> Measured:
    # The host of the decoding workers is nobody's child: so it becomes ours, and is counted.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    work = method.prepare()
    tree = psutil.Process()
    peak = _PeakMemory(tree)
    before, started = cpu_seconds_of(tree), time.perf_counter()
    work()
    wall_seconds = time.perf_counter() - started
    cpu_seconds = cpu_seconds_of(tree) - before - peak.stop()
    return Measured(cpu_seconds, wall_seconds, peak.peak_bytes, peak.idle_bytes)


def cpu_seconds_of(tree: psutil.Process) -> float:
    """User and system, of a process and all that it started, so far."""
    total = 0.0
    for process in (tree, *tree.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            times = process.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


class _PeakMemory:
    """Watches from a thread, whose own CPU time is taken off again."""

    def __init__(self, tree: psutil.Process) -> None:
        self._tree = tree
        self.idle_bytes = self.peak_bytes = self._now_bytes()
        self._cpu_seconds = 0.0
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def stop(self) -> float:
        self._stopped.set()
        self._thread.join()
        return self._cpu_seconds

    def _watch(self) -> None:
        while not self._stopped.wait(1 / SAMPLES_PER_SECOND):
            self.peak_bytes = max(self.peak_bytes, self._now_bytes())
            self._cpu_seconds = time.thread_time()

    def _now_bytes(self) -> int:
        total = 0
        for process in (self._tree, *self._tree.children(recursive=True)):
            with suppress(psutil.Error):
                total += process.memory_full_info().pss
        return total
