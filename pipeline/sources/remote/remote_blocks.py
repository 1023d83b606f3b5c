"""Fetch a remote video block by block as it is read, and keep the blocks on this node for all its processes.

Two processes may fetch the same block at the same time. Both write the same bytes, because every response is checked
against the planned version.
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from pipeline.config import SourceSettings
from pipeline.sources.remote.retries import Deadline, TransientFailure, retry
from pipeline.sources.remote.transfers import Origin, RemoteVersion
from pipeline.video.video_files import BLOCK_BYTES, missing_range, num_blocks

FIRST_READ_AHEAD_BYTES, MOST_READ_AHEAD_BYTES = BLOCK_BYTES, 16 * BLOCK_BYTES
"""Doubled while reads are sequential."""


_FOOTER = struct.Struct(">QH")
"""The size of the video and of the validator before the footer, in bytes."""


def prepare_blocks(file: BinaryIO, version: RemoteVersion) -> None:
    """Lay out a file without blocks: room for them, their map, and the version that they belong to."""
    assert version.size_bytes is not None, "only a body of known size is cut into blocks"
    file.truncate(version.size_bytes + num_blocks(version.size_bytes))
    file.seek(0, os.SEEK_END)
    validator = version.validator.encode()
    file.write(validator + _FOOTER.pack(version.size_bytes, len(validator)))


def _prepared_version(file: BinaryIO) -> RemoteVersion:
    file.seek(-_FOOTER.size, os.SEEK_END)
    size_bytes, validator_bytes = _FOOTER.unpack(file.read(_FOOTER.size))
    file.seek(-_FOOTER.size - validator_bytes, os.SEEK_END)
    return RemoteVersion(file.read(validator_bytes).decode(), size_bytes, accepts_ranges=True)


class RemoteBlocks:
    """Fetches missing blocks into a file of `prepare_blocks`. Used by one thread at a time."""

    def __init__(self, file: BinaryIO, origin: Origin, settings: SourceSettings) -> None:
        self._fd = file.fileno()
        self._origin = origin
        self._settings = settings
        self._version = _prepared_version(file)
        self.size_bytes = self._version.size_bytes or 0
        """Size of the video."""
        self._read_ahead_bytes = FIRST_READ_AHEAD_BYTES
        self._expected_start = -1

    def fetch(self, byte_range: tuple[int, int]) -> None:
        """Fetch the bytes `[start, stop)` into the file; read ahead if reads are sequential. Raises SourceErrors."""
        start, stop = byte_range
        is_sequential = start == self._expected_start
        grown = min(MOST_READ_AHEAD_BYTES, 2 * self._read_ahead_bytes)
        self._read_ahead_bytes = grown if is_sequential else FIRST_READ_AHEAD_BYTES
        stop = min(self.size_bytes, max(stop, start + self._read_ahead_bytes))
        self._expected_start = stop
        deadline = Deadline(self._settings.download_timeout_seconds)

        def attempt() -> None:
            while missing := missing_range(self._fd, self.size_bytes, start, stop):
                self._fetch(*missing, deadline)

        retry(attempt, name=self._origin.name, deadline=deadline, budget=self._origin.retry_budget)

    def _fetch(self, start: int, stop: int, deadline: Deadline) -> None:
        """Write whole blocks as they arrive, so that a broken connection loses at most one."""
        with self._origin.body(self._version, start, deadline, stop=stop) as body:
            place = body.start
            pending = bytearray()
            for piece in body.blocks:
                pending += piece
                deadline.check(self._origin.name)
                while place < stop and (len(pending) >= BLOCK_BYTES or place + len(pending) >= stop):
                    size = min(BLOCK_BYTES, stop - place)
                    self._keep(place, bytes(pending[:size]))
                    del pending[:size]
                    place += size
                if place >= stop:
                    return
            if place == start:
                raise TransientFailure("sent less than requested")

    def _keep(self, place: int, block: bytes) -> None:
        os.pwrite(self._fd, block, place)
        os.pwrite(self._fd, b"\x01", self.size_bytes + place // BLOCK_BYTES)
