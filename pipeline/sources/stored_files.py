"""What an upload is, what an upload store does, and the checks that every store makes."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.errors import InvalidRequest, SourceNotFound, SourceTooLarge
from pipeline.types import S3Video

_MAX_NAME_BYTES = 255


@dataclass(frozen=True)
class StoredFile:
    """An upload."""

    file_id: str
    size_bytes: int
    file_name: str
    """As the client called it; only ever shown, never a path of ours."""
    created_at: int
    """Unix time in seconds."""


class UploadStore(Protocol):
    """Where uploads are kept.

    Every method raises ServiceError when the store itself fails, and those that take a `file_id` raise
    SourceNotFound when there is no such upload.
    """

    def save(self, blocks: Iterable[bytes], *, file_name: str) -> StoredFile:
        """Keeps the bytes of `blocks`, which are never in memory all at once; all of them or nothing.

        Raises SourceTooLarge, InvalidRequest when there is no byte or the name is too long, and what `blocks`
        raises.
        """

    def get(self, file_id: str) -> StoredFile: ...

    def delete(self, file_id: str) -> None: ...

    def location(self, file_id: str) -> Path | S3Video:
        """Where the bytes of an upload would lie: in a file of this node or in an object."""


def checked_blocks(blocks: Iterable[bytes], max_bytes: int) -> Iterator[bytes]:
    """The blocks that are not empty. Raises in place of the first one too many, or when there was none."""
    size_bytes = 0
    for block in blocks:
        size_bytes += len(block)
        if size_bytes > max_bytes:
            raise SourceTooLarge(f"The file has more than the {max_bytes} bytes that are allowed. Send a smaller one.")
        if block:
            yield block
    if size_bytes == 0:
        raise InvalidRequest("The file is empty. Send a video.", param="file")


def check_file_name(file_name: str) -> None:
    size_bytes = len(file_name.encode(errors="replace"))
    if size_bytes > _MAX_NAME_BYTES:
        raise InvalidRequest(
            f"The file name has {size_bytes} bytes and at most {_MAX_NAME_BYTES} are allowed. Shorten it.",
            param="file",
        )


def new_file_id() -> str:
    return f"file-{secrets.token_hex(16)}"


def checked_file_id(file_id: str) -> str:
    if not re.fullmatch(r"file-[0-9a-f]{32}", file_id):
        raise SourceNotFound("There is no upload with this id. Use one that an upload returned.", param="file_id")
    return file_id
