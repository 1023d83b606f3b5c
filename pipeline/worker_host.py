"""The other side of `isolation`, run as `python -m pipeline.worker_host`: the host, which forks, and its workers."""

from __future__ import annotations

import ctypes
import importlib
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

from pipeline.errors import LongtakeError
from pipeline.isolation import ASKED, DONE, FAILED, FORK, LOAD, NUMBER_BYTES, REAP, Handler, WorkLimits

_PR_SET_PDEATHSIG = 1
_MOST_LOG_BYTES = 1024**2
"""A worker writes to its log alone, and a file full of errors would write without end."""


def _run_host(handler: str, commands: socket.socket) -> None:
    """Forks, reaps and imports until our process closes its end."""
    module, _, name = handler.partition(":")
    make_handler: Callable[[], Handler] = getattr(importlib.import_module(module), name)
    while True:
        command, fds, _, _ = socket.recv_fds(commands, 1, 1)
        if command == FORK:
            pid = os.fork()
            if not pid:
                commands.close()
                _run_worker(make_handler(), Connection(fds[0]))
                os._exit(0)
            os.close(fds[0])
            commands.sendall(_bytes_of(pid))
        elif command == REAP:
            _, status = os.waitpid(_number(commands), 0)
            commands.sendall(_bytes_of(status))
        elif command == LOAD:
            importlib.import_module(commands.recv(_number(commands), socket.MSG_WAITALL).decode())
            commands.sendall(_bytes_of(0))
        else:
            return


def _number(commands: socket.socket) -> int:
    return int.from_bytes(commands.recv(NUMBER_BYTES, socket.MSG_WAITALL), "big")


def _bytes_of(number: int) -> bytes:
    return number.to_bytes(NUMBER_BYTES, "big")


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
        del answer  # an error holds what its work held: the frames of a whole chunk
        connection.send_bytes(pickled)
        libc.malloc_trim(0)  # after a video of a day, 150 MB that are free would stay with this process


def _ask(connection: Connection, what: Any) -> None:
    connection.send((ASKED, what))
    if not connection.recv():
        raise OSError("what the worker asked for could not be had")


def _received_fd(connection: Connection) -> int:
    with socket.socket(fileno=os.dup(connection.fileno())) as ours:
        _, fds, _, _ = socket.recv_fds(ours, 1, 1)
    return fds[0]


def _apply(limits: WorkLimits, shared_bytes: int) -> None:
    """Counts CPU and memory from now on: what is kept from the work before is not this work's."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _set_soft_limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime + limits.cpu_seconds) + 1)
    _set_soft_limit(resource.RLIMIT_AS, _address_space_bytes() + limits.memory_bytes + shared_bytes)


def _set_soft_limit(kind: int, value: int) -> None:
    _, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _address_space_bytes() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    _run_host(sys.argv[1], socket.socket(fileno=int(sys.argv[2])))
