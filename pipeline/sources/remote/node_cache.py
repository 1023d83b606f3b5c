"""Copies of remote videos in a folder of this node, shared by all processes on it.

    <key>            a complete copy; an open one carries a shared lock, which keeps eviction away
    <key>.partial    a copy in progress, under an exclusive lock of the process that writes it

The locks are flocks: the kernel releases them when a process dies, so nothing stays locked or in use after a crash.
Files are renamed and removed while other processes wait for their lock, so each process checks that the file is still
in place once it holds the lock.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from pipeline.errors import ServiceError
from pipeline.sources.remote.retries import Deadline

_PARTIAL = ".partial"
_OWN_NAME = re.compile(r"[0-9a-f]{32}(\.partial)?")
_LOCK_POLL_SECONDS = 0.05
_STAT_BLOCK_BYTES = 512
"""The unit of stat(2), whatever the file system uses."""


@dataclass(frozen=True)
class HeldFile:
    """A copy that stays in place while this context is open."""

    path: Path
    file: BinaryIO

    @property
    def size_bytes(self) -> int:
        return os.fstat(self.file.fileno()).st_size

    def __enter__(self) -> HeldFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()


class NodeCache:
    """Keeps at most `max_bytes` in addition to the copies in use; evicts the least recently opened copies first.

    Keys are those of `fingerprint_of`; files with other names in the folder stay untouched.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    def find(self, key: str) -> HeldFile | None:
        """The copy under `key`, or None."""
        path = self._folder / key
        try:
            file = path.open("rb")
        except FileNotFoundError:
            return None
        fcntl.flock(file, fcntl.LOCK_SH)
        if not _is_in_place(file, path):
            file.close()
            return None
        os.utime(file.fileno())  # the order of eviction
        return HeldFile(path, file)

    def fetch(
        self,
        key: str,
        fill: Callable[[BinaryIO], None],
        *,
        size_bytes: int | None,
        name: str,
        deadline: Deadline,
    ) -> HeldFile:
        """The copy under `key`, written by `fill` unless another process writes or has written it.

        Raises what `fill` raises, SourceUnavailable after the deadline, and ServiceError if the disk is full.
        """
        while (held := self.find(key)) is None:
            with _translated_errors(name):
                self._make_or_wait(key, fill, size_bytes or 0, name, deadline)
        return held

    def _make_or_wait(
        self, key: str, fill: Callable[[BinaryIO], None], size_bytes: int, name: str, deadline: Deadline
    ) -> None:
        """Write the copy, or return once the process that was writing it has finished or failed."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path, partial = self._folder / key, self._folder / (key + _PARTIAL)
        with os.fdopen(os.open(partial, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
            _wait_for_lock(file, name, deadline)
            if not _is_in_place(file, partial):
                return
            if path.exists():
                partial.unlink()
                return
            self._make(file, partial, fill, size_bytes)
            partial.rename(path)
            self._make_room(0)

    def _make(self, file: BinaryIO, partial: Path, fill: Callable[[BinaryIO], None], size_bytes: int) -> None:
        try:
            file.truncate(0)  # a process may have died while writing it
            self._make_room(size_bytes)
            fill(file)
            file.flush()
        except BaseException:
            partial.unlink()
            raise

    def _make_room(self, incoming_bytes: int) -> None:
        """Evict copies until `incoming_bytes` more fit, and remove unfinished files of dead processes."""
        excess_bytes = incoming_bytes - self._max_bytes
        copies = []
        for path, found in self._own_files():
            if path.name.endswith(_PARTIAL):
                _remove_unless_locked(path)
            else:
                # A file of separately fetched blocks has holes.
                taken_bytes = min(found.st_size, found.st_blocks * _STAT_BLOCK_BYTES)
                copies.append((found.st_mtime_ns, taken_bytes, path))
                excess_bytes += taken_bytes
        for _, size_bytes, path in sorted(copies):
            if excess_bytes <= 0:
                return
            if _remove_unless_locked(path):
                excess_bytes -= size_bytes

    def _own_files(self) -> Iterator[tuple[Path, os.stat_result]]:
        for path in self._folder.iterdir():
            if _OWN_NAME.fullmatch(path.name):
                try:
                    yield path, path.stat()
                except FileNotFoundError:
                    continue  # another process evicted it


def _is_in_place(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _wait_for_lock(file: BinaryIO, name: str, deadline: Deadline) -> None:
    while not _try_lock(file):
        deadline.check(name)
        time.sleep(_LOCK_POLL_SECONDS)


def _try_lock(file: BinaryIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove_unless_locked(path: Path) -> bool:
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return True
    with file:
        if not _try_lock(file):
            return False
        if _is_in_place(file, path):
            path.unlink()
        return True


@contextmanager
def _translated_errors(name: str) -> Iterator[None]:
    """Translate OSErrors of the cache's disk; origins have translated their own."""
    try:
        yield
    except OSError as error:
        raise ServiceError(
            f"This server could not keep a copy of {name}: {error.strerror}. Have the operator check the "
            "space and the permissions of cache_dir."
        ) from error
