"""A remote file's origin for tests: it hands out blocks and counts their bytes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pipeline.config import VideoLimits
from pipeline.video.isolated_probing import IsolatedProbe
from pipeline.video.probing import ProbedVideo
from pipeline.video.video_files import BLOCK_BYTES, BlockFile, missing_range, num_blocks


class FakeOrigin:
    """Puts the blocks of a file into another one, as `RemoteBlocks` does of a remote one."""

    def __init__(self, source: Path, target: Path) -> None:
        self._content = source.read_bytes()
        self._target = target.open("w+b", buffering=0)
        self._target.truncate(len(self._content) + num_blocks(len(self._content)))
        self.blocks = BlockFile(target, len(self._content))
        self.num_bytes = 0

    def fetch(self, wanted: tuple[int, int]) -> None:
        while missing := missing_range(self._target.fileno(), len(self._content), *wanted):
            start = missing[0]
            block = self._content[start : start + BLOCK_BYTES]
            self._target.seek(start)
            self._target.write(block)
            self._target.seek(len(self._content) + start // BLOCK_BYTES)
            self._target.write(b"\x01")
            self.num_bytes += len(block)

    @property
    def share(self) -> float:
        return self.num_bytes / len(self._content)


def probe_apart(isolated: IsolatedProbe, origin: FakeOrigin, fetch: Callable[[tuple[int, int]], None]) -> ProbedVideo:
    size_bytes = origin.blocks.size_bytes
    return isolated(origin.blocks, size_bytes=size_bytes, fingerprint="bytes", limits=VideoLimits(), fetch=fetch)
