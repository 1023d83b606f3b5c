"""What an upload is, what an upload store does, and the checks that every store makes."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pipeline.config import SourceSettings
from pipeline.errors import InvalidRequest, SourceNotFound, SourceTooLarge, UploadStoreFull
from pipeline.types import S3Video

_MAX_NAME_BYTES = 255
REQUEST_PURPOSE = "request"
"""Of a video that came with a request: not the client's to list, and deleted when its analysis ends."""
DEFAULT_PURPOSE = "vision"
ABANDONED_SECONDS = 24 * 3600
"""After so long without a byte, an upload that is not finished is given up."""


@dataclass(frozen=True)
class StoredFile:
    """An upload."""

    file_id: str
    size_bytes: int
    file_name: str
    """As the client called it; only ever shown, never a path of ours."""
    created_at: int
    """Unix time in seconds."""
    purpose: str = DEFAULT_PURPOSE
    """As the client gave it, and REQUEST_PURPOSE for what came with a request."""
    expires_at: int | None = None
    """Unix time in seconds; None: kept until it is deleted."""

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and time.time() >= self.expires_at


@dataclass(frozen=True)
class FilePage:
    files: tuple[StoredFile, ...]
    has_more: bool


class UploadStore(Protocol):
    """Where uploads are kept.

    Every method raises ServiceError when the store itself fails, and those that take a `file_id` raise
    SourceNotFound when there is no such upload, or no longer.
    """

    def save(
        self,
        blocks: Iterable[bytes],
        *,
        file_name: str,
        purpose: str = DEFAULT_PURPOSE,
        expires_at: int | None = None,
    ) -> StoredFile:
        """Keeps the bytes of `blocks`, which are never in memory all at once; all of them or nothing.

        Raises SourceTooLarge, UploadStoreFull, InvalidRequest when there is no byte or the name is too long, and what
        `blocks` raises.
        """

    def get(self, file_id: str) -> StoredFile: ...

    def delete(self, file_id: str) -> None: ...

    def location(self, file_id: str) -> Path | S3Video:
        """Where the bytes of an upload would lie: in a file of this node or in an object."""

    def read(self, file_id: str, start: int, stop: int) -> Iterator[bytes]:
        """The bytes `[start, stop)`, in blocks. What is wrong with the upload is raised by the first block."""

    def newest_ids(self) -> list[str]:
        """Of all finished uploads, those that came last first."""

    def used_bytes(self) -> int:
        """What all uploads take, with what unfinished resumable ones will take."""

    def sweep(self) -> int:
        """Deletes what has expired, and what servers that died left unfinished. Says how many."""


def page_of(
    store: UploadStore, *, limit: int, after: str | None = None, oldest_first: bool = False, purpose: str | None = None
) -> FilePage:
    """Up to `limit` uploads that clients may see, behind the one named `after`. Raises InvalidRequest for another."""
    file_ids = store.newest_ids()
    if oldest_first:
        file_ids.reverse()
    if after is not None:
        if after not in file_ids:
            raise InvalidRequest(
                "after is the id of no file that is kept here; start the list again without it.", param="after"
            )
        file_ids = file_ids[file_ids.index(after) + 1 :]
    found: list[StoredFile] = []
    for file_id in file_ids:
        try:
            file = store.get(file_id)
        except SourceNotFound:  # deleted or expired meanwhile
            continue
        if file.purpose == REQUEST_PURPOSE or purpose not in (None, file.purpose):
            continue
        if len(found) == limit:
            return FilePage(tuple(found), has_more=True)
        found.append(file)
    return FilePage(tuple(found), has_more=False)


def check_room(used_bytes: int, size_bytes: int, settings: SourceSettings) -> None:
    """Raises UploadStoreFull where `size_bytes` more would be more than may be kept, SourceTooLarge for one file."""
    check_file_size(size_bytes, settings)
    if used_bytes + size_bytes > settings.max_stored_bytes:
        raise UploadStoreFull(
            f"The file has {size_bytes} bytes; of the {settings.max_stored_bytes} bytes that may be kept here "
            f"{used_bytes} are taken. Delete files that are no longer needed (GET /v1/files lists them), or have the "
            "operator raise sources.max_stored_bytes or set sources.keep_uploads_seconds.",
            param="file",
        )


def check_file_size(size_bytes: int, settings: SourceSettings) -> None:
    if size_bytes > settings.max_video_bytes:
        raise SourceTooLarge(
            f"The file has {size_bytes} bytes and {settings.max_video_bytes} are allowed. Send a smaller one.",
            param="file",
        )


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
        raise empty_file()


def empty_file() -> InvalidRequest:
    return InvalidRequest("The file is empty. Send a video.", param="file")


def check_file_name(file_name: str) -> None:
    size_bytes = len(file_name.encode(errors="replace"))
    if size_bytes > _MAX_NAME_BYTES:
        raise InvalidRequest(
            f"The file name has {size_bytes} bytes and at most {_MAX_NAME_BYTES} are allowed. Shorten it.",
            param="file",
        )


def expired(file_id: str) -> SourceNotFound:
    return SourceNotFound(f"The upload {file_id} has expired. Upload the file again.", param="file_id")


def new_file_id() -> str:
    return f"file-{secrets.token_hex(16)}"


def is_file_id(text: str) -> bool:
    return re.fullmatch(r"file-[0-9a-f]{32}", text) is not None


def checked_file_id(file_id: str) -> str:
    if not is_file_id(file_id):
        raise SourceNotFound("There is no upload with this id. Use one that an upload returned.", param="file_id")
    return file_id


def delete_if_present(uploads: UploadStore, file_id: str) -> None:
    """Delete an upload; one that is gone already is fine. Raises ServiceError when the store fails."""
    with suppress(SourceNotFound):
        uploads.delete(file_id)
