"""Work on hostile bytes in a process that may die: what shares it, and what asked for it, live on.

It contains crashes, hangs and hunger. It is no sandbox: a file that took a worker over would be this user.

    our process ──► host, which imports the handler's module and then only forks ──► worker, which does the work
    another     ──►                                                              ──► another

A worker is kept from one piece of work to the next. When it dies, or is killed because it takes too long, the host
forks another: that takes 16 ms, where starting one anew with torch takes 4 to 9 s. Processes of one group share a
host: what it has imported, 280 MB of torch that no two processes share otherwise, is there once for all of them.

multiprocessing's forkserver does the same, but its children import the main module again, which in a Ray worker is
Ray itself: 0.7 s each time.
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
"""A machine may be this much busier than its number of workers says before slow work is taken for stuck."""


Ask = Callable[[Any], None]
"""In a worker: has something done by who asked for the work, such as fetching bytes, which a worker has no means to.
Raises OSError when it could not be done."""


class Handler(Protocol):
    """Does the work of one kind; lives in the worker, and keeps there what it likes."""

    def __call__(self, request: Any, memory_fd: int | None, ask: Ask) -> Any: ...


@dataclass(frozen=True)
class WorkLimits:
    """Beyond these a worker is killed, or refused memory."""

    cpu_seconds: float
    memory_bytes: int
    """Of address space, beside what the worker has when the work begins and what is shared with it."""


class WorkLost(Exception):
    """The worker is gone, and what it was doing with it. The text goes on from the name of the work."""


class WorkCrashed(WorkLost):
    """It died of the work, or was killed by somebody else."""


class WorkAborted(Exception):
    """Whoever asked for the work has given it up."""


class GivenUp:
    """Whether one piece of work is still wanted. Set from any thread, by `IsolatedProcess.give_up`."""

    def __init__(self) -> None:
        self.is_set = False


class IsolatedProcess:
    """Gives one worker one piece of work at a time. Used by one thread at a time, but for `give_up`."""

    def __init__(self, handler: str, group: str | None = None) -> None:
        """`handler` is `module:class`; the class is called without arguments, in the worker.

        Those of this machine that name the same group have their workers forked by the same host; without one it is
        this process's own.
        """
        self.num_workers_lost = 0
        """Those that died of their work or had to be stopped; not those whose work was given up."""
        self._handler = handler
        self._group = group or uuid4().hex
        self._host: HostLink | None = None
        self._worker: WorkerLink | None = None
        self._under_way: GivenUp | None = None
        self._lock = threading.Lock()
        """Over which piece of work the worker has, so that none is killed in the place of another."""

    def start(self) -> None:
        """Has a worker ready for the first piece of work. Raises ServiceError as `call` does."""
        self._worker = self._ready_worker(None)

    def call(
        self,
        request: Any,
        limits: WorkLimits,
        *,
        module: str | None = None,
        memory_fd: int | None = None,
        serve: Callable[[Any], None] | None = None,
        given_up: GivenUp | None = None,
    ) -> Any:
        """What the handler gives for `request`. With `memory_fd` both sides have that memory; `serve` does what the
        worker asks for.

        The worker has `module` imported: the host does so when it is first asked for, and all workers from then on
        are forked with it, so that none pays for it out of its limits.

        Raises the handler's LongtakeErrors and those of `serve`, WorkCrashed when the worker died, WorkLost when it had
        to be stopped or failed in a way that its handler does not know, WorkAborted when `given_up` is set, and
        ServiceError when no worker can be had.
        """
        given_up = given_up or GivenUp()
        worker = self._worker = self._ready_worker(module)
        try:
            with self._doing(given_up):
                worker.send(request, limits, memory_fd)
                kind, answer = self._answer(worker, limits, serve)
        except TimeoutError as error:
            self.num_workers_lost += 1
            self.close_worker()
            raise WorkLost(f"took more than {limits.cpu_seconds * _WALL_SECONDS_PER_CPU_SECOND:.0f} s") from error
        except (EOFError, OSError) as error:
            lost = self._lost(worker, limits)
            if given_up.is_set:
                raise WorkAborted from error
            self.num_workers_lost += 1
            raise lost from error
        if kind == DONE:
            return answer
        raise answer if isinstance(answer, LongtakeError) else WorkLost(f"failed with {answer}")

    @contextmanager
    def _doing(self, work: GivenUp) -> Iterator[None]:
        """In here the worker may be killed for `work`, and for no other."""
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
        """The worker's answer, or the error of what it asked for."""
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
        """None before the first piece of work, and after one that ended its worker."""
        return self._worker.pid if self._worker else None

    def give_up(self, work: GivenUp) -> None:
        """Ends a piece of work, from any thread, under way or not yet: its `call` raises WorkAborted."""
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
            except OSError:  # somebody killed the host, or it cannot be started
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
    """Does what a worker asks for; returns why it could not be done."""
    try:
        if serve is None:
            return ServiceError("The video is not all there, and nothing fetches the rest.")
        serve(what)
    except LongtakeError as error:
        return error
    except OSError as error:
        return ServiceError(
            f"This server could not keep a part of the video: {error.strerror}. Have the operator check the space in "
            "cache_dir."
        )
    return None
