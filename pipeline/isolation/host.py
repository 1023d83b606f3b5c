"""The host process, which forks workers, and the workers. Run as `python -m pipeline.isolation.host`."""

from __future__ import annotations

import ctypes
import importlib
import os
import resource
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

from pipeline.errors import LongtakeError
from pipeline.isolation.links import (
    ASKED,
    DONE,
    FAILED,
    FORK,
    IMPORTED,
    LOAD,
    NOT_IMPORTED,
    NUMBER_BYTES,
    REAP,
    is_same_user,
)
from pipeline.isolation.process import Handler, WorkLimits

_PR_SET_PDEATHSIG = 1
_MOST_LOG_BYTES = 1024**2
"""A worker writes to its log alone, which a file full of errors could grow without end."""
_FIRST_CLIENT_SECONDS = 60.0
_COMMAND_SECONDS = 10.0
"""A client sends each command as a whole; one that stalls in the middle must not stall the others."""


class _Host:
    """Forks, reaps and imports for its clients, until the last one disconnects."""

    def __init__(self, handler: str, listener: socket.socket) -> None:
        module, _, name = handler.partition(":")
        self._make_handler: Callable[[], Handler] = getattr(importlib.import_module(module), name)
        self._listener = listener
        self._selector = selectors.DefaultSelector()
        self._selector.register(listener, selectors.EVENT_READ)
        self._workers: dict[socket.socket, set[int]] = {}

    def run(self) -> None:
        timeout_seconds: float | None = _FIRST_CLIENT_SECONDS
        while ready := self._selector.select(timeout_seconds):
            for key, _ in ready:
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket):
                    self._serve(key.fileobj)
            timeout_seconds = None if self._workers else 0.0  # accept clients that connected meanwhile

    def _accept(self) -> None:
        client, _ = self._listener.accept()
        if not is_same_user(client):
            client.close()
            return
        client.settimeout(_COMMAND_SECONDS)
        self._workers[client] = set()
        self._selector.register(client, selectors.EVENT_READ)

    def _serve(self, client: socket.socket) -> None:
        try:
            command, fds, _, _ = socket.recv_fds(client, 1, 1)
            if command == FORK and fds:
                answer = self._fork(client, fds[0])
            elif command == REAP:
                answer = self._reap(client, _number(client))
            elif command == LOAD:
                answer = _load(client.recv(_number(client), socket.MSG_WAITALL).decode())
            else:
                raise EOFError
            client.sendall(answer.to_bytes(NUMBER_BYTES, "big"))
        except (EOFError, OSError):
            self._disconnect(client)

    def _fork(self, client: socket.socket, fd: int) -> int:
        pid = os.fork()
        if not pid:
            self._become_worker(fd)
        os.close(fd)
        self._workers[client].add(pid)
        return pid

    def _become_worker(self, fd: int) -> None:
        status = 0
        try:
            self._selector.close()
            for other in (self._listener, *self._workers):
                other.close()
            _run_worker(self._make_handler(), Connection(fd))
        except BaseException:
            traceback.print_exc()
            status = 1
        os._exit(status)

    def _reap(self, client: socket.socket, pid: int) -> int:
        if pid not in self._workers[client]:
            return 0
        self._workers[client].remove(pid)
        return os.waitpid(pid, 0)[1]

    def _disconnect(self, client: socket.socket) -> None:
        self._selector.unregister(client)
        client.close()
        for pid in self._workers.pop(client):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _load(module: str) -> int:
    try:
        importlib.import_module(module)
    except Exception:
        traceback.print_exc()
        return NOT_IMPORTED
    return IMPORTED


def _number(client: socket.socket) -> int:
    return int.from_bytes(client.recv(NUMBER_BYTES, socket.MSG_WAITALL), "big")


def _run_worker(handler: Handler, connection: Connection) -> None:
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # no worker outlives its host
    _set_soft_limit(resource.RLIMIT_CORE, 0)
    _set_soft_limit(resource.RLIMIT_FSIZE, _MOST_LOG_BYTES)
    while True:
        try:
            request, limits, has_memory = connection.recv()
        except EOFError:
            return
        memory_fd = _received_fd(connection) if has_memory else None
        _apply(limits, os.fstat(memory_fd).st_size if memory_fd is not None else 0)
        answer: tuple[str, Any]
        try:
            answer = DONE, handler(request, memory_fd, partial(_ask, connection))
        except LongtakeError as error:
            answer = FAILED, error
        except Exception as error:
            answer = FAILED, type(error).__name__
        finally:
            if memory_fd is not None:
                os.close(memory_fd)
        pickled = ForkingPickler.dumps(answer)
        del answer  # an error references what its work held: the frames of a whole chunk
        connection.send_bytes(pickled)
        libc.malloc_trim(0)  # after a video of a day, this process would keep 150 MB of free memory


def _ask(connection: Connection, what: Any) -> None:
    connection.send((ASKED, what))
    if not connection.recv():
        raise OSError("the worker's request failed")


def _received_fd(connection: Connection) -> int:
    with socket.socket(fileno=os.dup(connection.fileno())) as ours:
        _, fds, _, _ = socket.recv_fds(ours, 1, 1)
    return fds[0]


def _apply(limits: WorkLimits, shared_bytes: int) -> None:
    """Apply the limits to CPU and memory from now on, without what earlier work left behind."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _set_soft_limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + limits.cpu_seconds) + 1)
    _set_soft_limit(resource.RLIMIT_AS, _address_space_bytes() + limits.memory_bytes + shared_bytes)


def _set_soft_limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _address_space_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def main() -> None:
    """Return once the host listens: its starter waits for that. The host itself goes on in a child process."""
    handler, name = sys.argv[1:]
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.bind(f"\0{name}")
        except OSError:
            return  # another host was faster
        listener.listen()
        if not os.fork():
            _Host(handler, listener).run()


if __name__ == "__main__":
    main()
