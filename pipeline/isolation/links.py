"""Our ends of a host and of the workers that it forks, and the words that both ends use. The others: pipeline/isolation/host.py.

A host is found by a name, in the kernel's abstract socket namespace: whoever comes first starts it, and it ends with
the last that is connected to it. It is nobody's child, so that a replica that ends does not take it from the others:
Ray kills the children of a worker that exits.
"""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from pipeline.errors import ServiceError

DONE, FAILED, ASKED = "done", "failed", "asked"
"""What a worker says: its work's result, its error, or that it needs something first."""
FORK, REAP, LOAD = b"f", b"r", b"l"
"""What a host is asked for: a worker, the status of one that has died, a module. It answers each with a number."""
NUMBER_BYTES = 8
IMPORTED, NOT_IMPORTED = 0, 1
"""A host's answers to LOAD."""
_HOST_TIMEOUT_SECONDS = 60.0
"""It imports torch first, which took 4 to 9 s here, and torchcodec where it is asked for, 5 s."""
_HOST_STARTS = 5
"""One may end, with the last that it worked for, just when another comes."""
_KEPT_FROM_HOSTS = ("AWS_", "OTEL_", "RAY_", "__RAY_")
"""How variables begin that a worker has no business with: credentials, and what differs from replica to replica."""


class WorkerLink:
    """Our end of a worker."""

    def __init__(self, pid: int, connection: Connection, modules: frozenset[str]) -> None:
        self.pid = pid
        self.modules = modules
        """What its host had imported for it."""
        self._process_fd = os.pidfd_open(pid)  # a number may come to mean another process
        self._connection = connection

    def send(self, request: Any, limits: Any, memory_fd: int | None) -> None:
        self._connection.send((request, limits, memory_fd is not None))
        if memory_fd is not None:
            with socket.socket(fileno=os.dup(self._connection.fileno())) as ours:
                socket.send_fds(ours, [b"m"], [memory_fd])

    def receive(self, timeout_seconds: float) -> tuple[str, Any]:
        if not self._connection.poll(timeout_seconds):
            raise TimeoutError
        answer: tuple[str, Any] = self._connection.recv()
        return answer

    def reply(self, *, is_served: bool) -> None:
        self._connection.send(is_served)

    def kill(self) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._process_fd, signal.SIGKILL)

    def close(self) -> None:
        os.close(self._process_fd)
        self._connection.close()


class HostLink:
    """Our end of a host, which is started if it is not there yet."""

    def __init__(self, handler: str, group: str) -> None:
        """Raises OSError when it cannot be had."""
        self._modules: frozenset[str] = frozenset()
        self._socket = _connected(handler, group)

    def load(self, module: str) -> None:
        """Has it import `module`, once. Raises ServiceError when it cannot, OSError when it is gone."""
        if module in self._modules:
            return
        name = module.encode()
        self._socket.sendall(LOAD + len(name).to_bytes(NUMBER_BYTES, "big") + name)
        if self._number() != IMPORTED:
            raise ServiceError("This server cannot import what it needs to work on this video.")
        self._modules |= {module}

    def fork(self) -> WorkerLink:
        """Raises OSError when the host is gone."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                socket.send_fds(self._socket, [FORK], [theirs.fileno()])
            pid = self._number()
            return WorkerLink(pid, Connection(ours.detach()), self._modules)

    def reap(self, pid: int) -> int:
        """The wait status of a worker that has died; 0 when the host is gone."""
        try:
            self._socket.sendall(REAP + pid.to_bytes(NUMBER_BYTES, "big"))
            return self._number()
        except OSError:
            return 0

    def close(self) -> None:
        """It kills what is left of our workers, and ends if we were the last."""
        self._socket.close()

    def _number(self) -> int:
        received = self._socket.recv(NUMBER_BYTES, socket.MSG_WAITALL)
        if len(received) < NUMBER_BYTES:
            raise ConnectionResetError("the host of the workers is gone")
        return int.from_bytes(received, "big")


def is_same_user(connection: socket.socket) -> bool:
    """Whether the process at the other end is this user's: anybody may use the names of abstract sockets."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", credentials)
    return bool(user == os.getuid())


def _connected(handler: str, group: str) -> socket.socket:
    environment = _environment()
    name = _name(handler, group, environment)
    for _ in range(_HOST_STARTS):
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(_HOST_TIMEOUT_SECONDS)
        try:
            connection.connect(f"\0{name}")
        except ConnectionRefusedError:
            connection.close()
        else:
            if is_same_user(connection):
                return connection
            connection.close()
            raise PermissionError("somebody else's process has the name of this one's host")
        command = [sys.executable, "-m", "pipeline.isolation.host", handler, name]
        # It comes back when it listens, or when another one does.
        try:
            subprocess.run(
                command,
                env=environment,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                timeout=_HOST_TIMEOUT_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TimeoutError("the host of the workers does not start") from error
    raise ConnectionRefusedError("the host of the workers does not start")


def _name(handler: str, group: str, environment: dict[str, str]) -> str:
    """Of a host: those that would do their work in another way than ours does have other names."""
    digest = hashlib.blake2b(repr((handler, group, sys.executable, sorted(environment.items()))).encode())
    return f"longtake-{digest.hexdigest()[:32]}"


def _environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_KEPT_FROM_HOSTS)}
    # The handler's module lies where ours does, whatever folder this process works in.
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    # One worker, one core: and each thread that a library starts would take address space.
    return environment | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
