"""What every kind of source ends in: a file on this node with a fingerprint."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import SourceChanged, SourceTooLarge, UnreadableVideo


@dataclass(frozen=True)
class LocalCopy:
    """A regular file on this node that holds a video."""

    path: Path
    """For this node only; never shown to a client."""
    size_bytes: int
    fingerprint: str
    """Identifies the bytes, equally on every node."""


def fingerprint_of(*parts: str) -> str:
    """A digest of `parts`, in which no part can run over into the next."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode(errors="surrogateescape")
        digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.hexdigest()


def check_fingerprint(found: str, expected: str | None, *, name: str) -> None:
    """Raises SourceChanged unless `expected` is None or what was found."""
    if expected is not None and found != expected:
        raise SourceChanged(f"{name} is no longer the video that this analysis was planned for. Start it again.")


def check_size(size_bytes: int, max_bytes: int, *, name: str) -> None:
    """Raises SourceTooLarge, or UnreadableVideo when there is nothing at all."""
    if size_bytes > max_bytes:
        raise SourceTooLarge(f"{name} has more than the {max_bytes} bytes that are allowed. Send a smaller video.")
    if size_bytes == 0:
        raise UnreadableVideo(f"{name} is empty. Send a video.")
