"""Run work on hostile bytes in a process that may die without affecting its caller or other work.

This contains crashes, hangs and excessive memory. It is no sandbox: a file that takes over a worker has this user's
rights.

    our process ──► host, which imports the handler's module and then only forks ──► worker, which runs the work
    another     ──►                                                              ──► another

A worker serves one piece of work after another. If it dies, or is killed because it takes too long, the host forks
another in 16 ms; a new process that imports torch takes 4 to 9 s. Processes of one group share a host, and with it the
280 MB of torch that it imported.

multiprocessing's forkserver works alike, but its children import the main module, which in a Ray worker is Ray itself:
0.7 s for each child.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import uuid4

from pipeline.errors import LongtakeError, ServiceError
from pipeline.isolation.links import ASKED, DONE, FAILED, HostLink, WorkerLink

_WALL_SECONDS_PER_CPU_SECOND = 6.0
"""How far a machine may be overloaded before slow work counts as stuck."""


Ask = Callable[[Any], None]
"""In a worker: has the caller do something, such as fetching bytes, which the worker itself cannot do. Raises OSError
if it fails."""


class Handler(Protocol):
    """Does one kind of work. It lives in the worker, and may keep state there."""

    def __call__(self, request: Any, memory_fd: int | None, ask: Ask) -> Any: ...


@dataclass(frozen=True)
class WorkLimits:
    """Beyond these limits a worker is killed, or its allocations fail."""

    cpu_seconds: float
    memory_bytes: int
    """Address space, beside what the worker holds at the start and the memory shared with it."""


class WorkLost(Exception):
    """The worker ended before its work did. The text continues a sentence that starts with the name of the work."""


class WorkCrashed(WorkLost):
    """The worker died: the work crashed it, or another process killed it."""


class WorkAborted(Exception):
    """The caller cancelled the work."""


class Cancellation:
    """Whether one piece of work is cancelled. `IsolatedProcess.cancel` sets it, from any thread."""

    def __init__(self) -> None:
        self.is_set = False


class IsolatedProcess:
    """Runs one piece of work at a time in a worker. Used by one thread at a time, except for `cancel`."""

    def __init__(self, handler: str, group: str | None = None) -> None:
        """`handler` is `module:class`; the worker calls the class without arguments.

        The workers of one group on this machine are forks of the same host. Without a group, the host is private.
        """
        self.num_workers_lost = 0
        """Workers that died or had to be killed; cancelled work does not count."""
        self._handler = handler
        self._group = group or uuid4().hex
        self._host: HostLink | None = None
        self._worker: WorkerLink | None = None
        self._under_way: Cancellation | None = None
        self._lock = threading.Lock()
        """Guards `_under_way`, so that no worker is killed for another piece of work."""

    def start(self) -> None:
        """Start a worker before the first piece of work. Raises ServiceError as `call` does."""
        self._worker = self._ready_worker(None)

    def call(
        self,
        request: Any,
        limits: WorkLimits,
        *,
        module: str | None = None,
        memory_fd: int | None = None,
        serve: Callable[[Any], None] | None = None,
        cancellation: Cancellation | None = None,
    ) -> Any:
        """Return the handler's result for `request`. Both sides share the memory of `memory_fd`; `serve` does what the
        worker asks of its caller.

        The host imports `module` on its first use, and all later workers are forked with it. So the import does not
        count towards a worker's limits.

        Raises the LongtakeErrors of the handler and of `serve`, WorkCrashed if the worker died, WorkLost if it had to
        be killed or raised an unexpected error, WorkAborted once `cancellation` is set, and ServiceError if no worker
        can be started.
        """
        cancellation = cancellation or Cancellation()
        worker = self._worker = self._ready_worker(module)
        try:
            with self._doing(cancellation):
                worker.send(request, limits, memory_fd)
                kind, answer = self._answer(worker, limits, serve)
        except TimeoutError as error:
            self.num_workers_lost += 1
            self.close_worker()
            raise WorkLost(f"took more than {limits.cpu_seconds * _WALL_SECONDS_PER_CPU_SECOND:.0f} s") from error
        except (EOFError, OSError) as error:
            lost = self._lost(worker, limits)
            if cancellation.is_set:
                raise WorkAborted from error
            self.num_workers_lost += 1
            raise lost from error
        if kind == DONE:
            return answer
        raise answer if isinstance(answer, LongtakeError) else WorkLost(f"failed with {answer}")

    @contextmanager
    def _doing(self, work: Cancellation) -> Iterator[None]:
        """While this block runs, `cancel` may kill the worker for `work` alone."""
        with self._lock:
            if work.is_set:
                raise WorkAborted
            self._under_way = work
        try:
            yield
        finally:
            with self._lock:
                self._under_way = None

    def _answer(self, worker: WorkerLink, limits: WorkLimits, serve: Callable[[Any], None] | None) -> tuple[str, Any]:
        """The worker's answer, or the error of `serve`."""
        failure: LongtakeError | None = None
        remaining_seconds = limits.cpu_seconds * _WALL_SECONDS_PER_CPU_SECOND
        while True:
            started = time.monotonic()
            kind, answer = worker.receive(max(0.0, remaining_seconds))
            remaining_seconds -= time.monotonic() - started
            if kind != ASKED:
                return (FAILED, failure) if failure else (kind, answer)
            failure = failure or _failure_of(serve, answer)
            worker.reply(is_served=failure is None)

    @property
    def worker_pid(self) -> int | None:
        """None before the first piece of work, and after the worker was lost."""
        return self._worker.pid if self._worker else None

    def cancel(self, work: Cancellation) -> None:
        """Cancel a piece of work, started or not, from any thread: its `call` raises WorkAborted."""
        with self._lock:
            work.is_set = True
            if self._worker and self._under_way is work:
                self._worker.kill()

    def close_worker(self) -> None:
        worker, self._worker = self._worker, None
        if worker:
            worker.kill()
            worker.close()
            if self._host:
                self._host.reap(worker.pid)

    def close(self) -> None:
        self.close_worker()
        self._close_host()

    def _close_host(self) -> None:
        host, self._host = self._host, None
        if host:
            host.close()

    def _ready_worker(self, module: str | None) -> WorkerLink:
        if self._worker and (module is None or module in self._worker.modules):
            return self._worker
        self.close_worker()
        for _ in range(2):
            try:
                self._host = self._host or HostLink(self._handler, self._group)
                if module is not None:
                    self._host.load(module)
                return self._host.fork()
            except OSError:  # the host was killed, or does not start
                self._close_host()
        raise ServiceError("This server cannot start a process to work on videos; try again later.")

    def _lost(self, worker: WorkerLink, limits: WorkLimits) -> WorkLost:
        self._worker = None
        worker.kill()
        worker.close()
        status = self._host.reap(worker.pid) if self._host else 0
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXCPU:
            return WorkLost(f"took more than {limits.cpu_seconds:.0f} s of a core")
        code = os.waitstatus_to_exitcode(status)
        return WorkCrashed(f"crashed ({f'signal {-code}' if code < 0 else f'status {code}'})")


def _failure_of(serve: Callable[[Any], None] | None, what: Any) -> LongtakeError | None:
    """Serve a worker's request, and return why that failed."""
    try:
        if serve is None:
            return ServiceError("A part of the video is missing, and nothing fetches it.")
        serve(what)
    except LongtakeError as error:
        return error
    except OSError as error:
        return ServiceError(
            f"This server could not keep a part of the video: {error.strerror}. Have the operator check the space in "
            "cache_dir."
        )
    return None
