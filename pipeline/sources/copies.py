"""A video as a file on this node, with a fingerprint: the result of opening any source."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import SourceChanged, SourceTooLarge, UnreadableVideo
from pipeline.video.video_files import BlockFile, FetchRange, VideoFile


@dataclass(frozen=True)
class LocalCopy:
    """A regular file on this node that holds a video, or the blocks of it that were read so far."""

    file: Path | BlockFile
    """Valid on this node only; never shown to a client."""
    size_bytes: int
    fingerprint: str
    """Identifies the bytes; the same on every node."""
    fetch: FetchRange | None = None
    """Fetches missing blocks of a `BlockFile`; raises SourceErrors."""

    @property
    def video(self) -> VideoFile:
        """The video, for reading in this process."""
        if isinstance(self.file, Path):
            return self.file
        assert self.fetch is not None, "blocks come with what fetches them"
        return self.file.fetching(self.fetch)


def fingerprint_of(*parts: str) -> str:
    """A digest of `parts` that keeps their boundaries: ("ab", "c") and ("a", "bc") differ."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode(errors="surrogateescape")
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()


def check_fingerprint(found: str, expected: str | None, *, name: str) -> None:
    """Raise SourceChanged unless `expected` is None or equals `found`."""
    if expected is not None and found != expected:
        raise SourceChanged(f"{name} is no longer the video that this analysis was planned for. Start it again.")


def check_size(size_bytes: int, max_bytes: int, *, name: str) -> None:
    """Raise SourceTooLarge, or UnreadableVideo for an empty file."""
    if size_bytes > max_bytes:
        raise SourceTooLarge(f"{name} has more than the {max_bytes} bytes that are allowed. Send a smaller video.")
    if size_bytes == 0:
        raise UnreadableVideo(f"{name} is empty. Send a video.")
