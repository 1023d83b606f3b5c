"""A worker that does what tests tell it, in a module that its host can import."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any, ClassVar

from pipeline.isolation.process import Ask, WorkLimits

FAKE_WORKER = f"{__name__}:FakeWorker"
LIMITS = WorkLimits(cpu_seconds=5, memory_bytes=200 * 1024**2)


class FakeWorker:
    """Does what it is told, which no handler of ours does."""

    def __init__(self) -> None:
        self.num_calls = 0

    def __call__(self, request: tuple[str, Any], memory_fd: int | None, ask: Ask) -> Any:
        self.num_calls += 1
        act: dict[str, Callable[[Any], Any]] = {
            "count": lambda _: (self.num_calls, os.getpid()),
            "die": lambda number: os.kill(os.getpid(), number),
            "exit": os._exit,
            "spin": lambda _: _spin(),
            "sleep": time.sleep,
            "grow": lambda size: len(bytearray(size)),
            "raise": _raise,
            "ask": ask,
            "log": _log,
            "environment": os.environ.get,
            "has": lambda module: (module in sys.modules, os.getppid(), os.getpid()),
            "keep": self.keep,
            "write": lambda text: os.pwrite(memory_fd or -1, text, 0),
        }
        return act[request[0]](request[1])

    kept: ClassVar[list[bytearray]] = []

    def keep(self, size: int) -> int:
        self.kept.append(bytearray(size))
        return len(self.kept)


def _log(size: int) -> int:
    with tempfile.TemporaryFile() as log:
        try:
            for _ in range(size // 1024):
                os.write(log.fileno(), bytes(1024))
        except OSError:
            pass
        return os.fstat(log.fileno()).st_size


def _spin() -> None:
    while True:
        pass


def _raise(error: Exception) -> None:
    raise error


def wait_for(condition: Callable[[], bool], what_else: str) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline, what_else
        time.sleep(0.01)
