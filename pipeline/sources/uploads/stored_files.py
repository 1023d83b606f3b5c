"""The interface of an upload store, its files, and the checks that every store makes."""

from __future__ import annotations

import logging
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

logger = logging.getLogger(__name__)

_MAX_NAME_BYTES = 255
REQUEST_PURPOSE = "request"
"""The purpose of a video inside a request: clients cannot list it, and it is deleted when its analysis ends."""
DEFAULT_PURPOSE = "vision"
ABANDONED_SECONDS = 24 * 3600
"""Time without a new byte after which an unfinished upload expires."""


@dataclass(frozen=True)
class StoredFile:
    """An upload."""

    file_id: str
    size_bytes: int
    file_name: str
    """The client's name for the file; for display only, never a path on this server."""
    created_at: int
    """Unix time in seconds."""
    purpose: str = DEFAULT_PURPOSE
    """The client's value, or REQUEST_PURPOSE for a video inside a request."""
    expires_at: int | None = None
    """Unix time in seconds; None keeps the file until it is deleted."""
    is_damaged: bool = False
    """Whether its record cannot be read. Its name, purpose and expiry are unknown then; its bytes may be fine."""

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and time.time() >= self.expires_at


def damaged_file(file_id: str, size_bytes: int, created_at: float) -> StoredFile:
    """Return an upload whose record cannot be read, so that it can be listed, and deleted."""
    logger.error("the record of the upload %s cannot be read", file_id)
    return StoredFile(file_id, size_bytes, "", int(created_at), is_damaged=True)


@dataclass(frozen=True)
class FilePage:
    files: tuple[StoredFile, ...]
    has_more: bool


class UploadStore(Protocol):
    """Stores uploads.

    Every method raises ServiceError if the store itself fails. Methods with a `file_id` raise SourceNotFound for an
    unknown, deleted or expired upload.
    """

    def save(
        self,
        blocks: Iterable[bytes],
        *,
        file_name: str,
        purpose: str = DEFAULT_PURPOSE,
        expires_at: int | None = None,
    ) -> StoredFile:
        """Store the bytes of `blocks`, all of them or none. They are never in memory as a whole.

        Raises SourceTooLarge, UploadStoreFull, InvalidRequest for an empty file or a name that is too long, and what
        `blocks` raises.
        """

    def get(self, file_id: str) -> StoredFile: ...

    def delete(self, file_id: str) -> None: ...

    def location(self, file_id: str) -> Path | S3Video:
        """Where the bytes of an upload are, if it exists: a file of this node, or an object."""

    def read(self, file_id: str, start: int, stop: int) -> Iterator[bytes]:
        """The bytes `[start, stop)`, in blocks. The first block raises any error."""

    def newest_ids(self) -> list[str]:
        """The ids of all finished uploads, newest first."""

    def used_bytes(self) -> int:
        """The size of all uploads, with the declared size of unfinished resumable ones."""

    def sweep(self) -> int:
        """Delete expired uploads and unfinished ones of dead servers, and return their number."""


def page_of(
    store: UploadStore, *, limit: int, after: str | None = None, oldest_first: bool = False, purpose: str | None = None
) -> FilePage:
    """Up to `limit` uploads that clients may see, after the upload `after`. Raises InvalidRequest for an unknown id."""
    file_ids = store.newest_ids()
    if oldest_first:
        file_ids.reverse()
    if after is not None:
        if after not in file_ids:
            raise InvalidRequest(
                "No stored file has the id given as after; start the list again without it.", param="after"
            )
        file_ids = file_ids[file_ids.index(after) + 1 :]
    found: list[StoredFile] = []
    for file_id in file_ids:
        try:
            file = store.get(file_id)
        except SourceNotFound:  # deleted or expired since it was listed
            continue
        if file.purpose == REQUEST_PURPOSE or purpose not in (None, file.purpose):
            continue
        if len(found) == limit:
            return FilePage(tuple(found), has_more=True)
        found.append(file)
    return FilePage(tuple(found), has_more=False)


def check_room(used_bytes: int, size_bytes: int, settings: SourceSettings) -> None:
    """Raise UploadStoreFull if the store has no room for `size_bytes`, SourceTooLarge if no file may be so large."""
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
    """The blocks that are not empty. Raises SourceTooLarge in place of the first one too many, InvalidRequest if all
    are empty.
    """
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
    """Delete an upload, if it still exists. Raises ServiceError if the store fails."""
    with suppress(SourceNotFound):
        uploads.delete(file_id)
