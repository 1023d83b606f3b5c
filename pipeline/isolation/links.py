"""Our ends of the connections to a host and to the workers that it forks, and the messages of both ends. The other
ends are in `host`.

A host listens on a name in the kernel's abstract socket namespace. The first client starts it, and it ends with its
last client. It is no client's child: Ray kills the children of a replica that exits, and other replicas still use it.
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
"""What a worker sends: its result, its error, or a request to its caller."""
FORK, REAP, LOAD = b"f", b"r", b"l"
"""Commands to a host: fork a worker, return the status of a dead one, import a module. It answers with a number."""
NUMBER_BYTES = 8
IMPORTED, NOT_IMPORTED = 0, 1
"""A host's answers to LOAD."""
_HOST_TIMEOUT_SECONDS = 60.0
"""The import of torch took 4 to 9 s, and that of torchcodec 5 s."""
_HOST_STARTS = 5
"""A host may end with its last client just as a new client connects."""
_KEPT_FROM_HOSTS = ("AWS_", "OTEL_", "RAY_", "__RAY_")
"""Prefixes of variables that hosts do not inherit: credentials, and values that differ between replicas."""


class WorkerLink:
    """Our end of a worker."""

    def __init__(self, pid: int, connection: Connection, modules: frozenset[str]) -> None:
        self.pid = pid
        self.modules = modules
        """Modules that its host had imported before the fork."""
        self._process_fd = os.pidfd_open(pid)  # a pid may be reused
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
    """Our end of a host. Starts the host if it does not run."""

    def __init__(self, handler: str, group: str) -> None:
        """Raises OSError if the host cannot be started."""
        self._modules: frozenset[str] = frozenset()
        self._socket = _connected(handler, group)

    def load(self, module: str) -> None:
        """Have the host import `module`, once. Raises ServiceError if the import fails, OSError if the host is gone."""
        if module in self._modules:
            return
        name = module.encode()
        self._socket.sendall(LOAD + len(name).to_bytes(NUMBER_BYTES, "big") + name)
        if self._number() != IMPORTED:
            raise ServiceError("This server cannot import what it needs to work on this video.")
        self._modules |= {module}

    def fork(self) -> WorkerLink:
        """Fork a worker. Raises OSError if the host is gone."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                socket.send_fds(self._socket, [FORK], [theirs.fileno()])
            pid = self._number()
            return WorkerLink(pid, Connection(ours.detach()), self._modules)

    def reap(self, pid: int) -> int:
        """The wait status of a dead worker; 0 if the host is gone."""
        try:
            self._socket.sendall(REAP + pid.to_bytes(NUMBER_BYTES, "big"))
            return self._number()
        except OSError:
            return 0

    def close(self) -> None:
        """Disconnect. The host kills our remaining workers, and ends after its last client."""
        self._socket.close()

    def _number(self) -> int:
        received = self._socket.recv(NUMBER_BYTES, socket.MSG_WAITALL)
        if len(received) < NUMBER_BYTES:
            raise ConnectionResetError("the host of the workers is gone")
        return int.from_bytes(received, "big")


def is_same_user(connection: socket.socket) -> bool:
    """Whether the process at the other end runs as this user: any user may bind the name of an abstract socket."""
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
            raise PermissionError("a process of another user has taken the name of this host")
        command = [sys.executable, "-m", "pipeline.isolation.host", handler, name]
        # It returns once it listens, or another host does.
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
    """The name of a host. Hosts with another handler, group, interpreter or environment have other names."""
    digest = hashlib.blake2b(repr((handler, group, sys.executable, sorted(environment.items()))).encode())
    return f"longtake-{digest.hexdigest()[:32]}"


def _environment() -> dict[str, str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_KEPT_FROM_HOSTS)}
    # The host finds the handler's module where we do, in any working directory.
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    # A worker uses one core, and each further thread of a library would take address space.
    return environment | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
