"""A video's bytes on this node: a file, or the blocks of one that were read so far."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

BLOCK_BYTES = 1024**2
"""The unit in which a remote video is fetched and kept."""
_BUFFER_BYTES = 64 * 1024

FetchRange = Callable[[tuple[int, int]], None]
"""Fetches the bytes `[start, stop)` into the file. Raises OSError."""


class VideoFile(Protocol):
    """A readable video; `Path` satisfies this protocol."""

    def open(self, mode: Literal["rb"]) -> io.BufferedReader: ...


@dataclass(frozen=True)
class BlockFile:
    """A file that holds some blocks of a video, followed by a map of them with one byte for each."""

    path: Path
    size_bytes: int
    """The size of the video."""

    def fetching(self, fetch: FetchRange) -> VideoFile:
        """A video that reads as if it were complete; missing blocks are fetched."""
        return _FetchingFile(self, fetch)


@dataclass(frozen=True)
class _FetchingFile:
    blocks: BlockFile
    fetch: FetchRange

    def open(self, mode: Literal["rb"]) -> io.BufferedReader:
        return io.BufferedReader(_BlockReader(self.blocks, self.fetch), _BUFFER_BYTES)


def num_blocks(size_bytes: int) -> int:
    return -(-size_bytes // BLOCK_BYTES)


def missing_range(fd: int, size_bytes: int, start: int, stop: int) -> tuple[int, int] | None:
    """The bytes `[start, stop)` from the first to the last missing block among those that overlap the given range."""
    first, last = start // BLOCK_BYTES, (stop - 1) // BLOCK_BYTES
    block_map = os.pread(fd, last - first + 1, size_bytes + first)
    missing = [first + place for place, is_present in enumerate(block_map) if not is_present]
    return (missing[0] * BLOCK_BYTES, min(size_bytes, (missing[-1] + 1) * BLOCK_BYTES)) if missing else None


class _BlockReader(io.RawIOBase):
    """Reads a file that may lack some blocks."""

    def __init__(self, blocks: BlockFile, fetch: FetchRange) -> None:
        self._file = blocks.path.open("rb", buffering=0)
        self._size_bytes = blocks.size_bytes
        self._fetch = fetch
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size_bytes}[whence]
        if start + offset < 0:
            raise ValueError(f"a place before the start of the file: {start + offset}")
        self._place = start + offset
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        stop = min(self._place + len(buffer), self._size_bytes)
        if stop <= self._place:
            return 0
        if missing := missing_range(self._file.fileno(), self._size_bytes, self._place, stop):
            self._fetch(missing)
        count = os.preadv(self._file.fileno(), [memoryview(buffer)[: stop - self._place]], self._place)
        self._place += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
