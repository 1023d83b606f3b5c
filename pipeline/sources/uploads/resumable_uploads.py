"""Uploads that go on where a broken connection left them: what one is, and what keeps them.

All state is in the store, none in a process: each piece of an upload may come to another replica.
"""

from __future__ import annotations

import re
import secrets
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from pipeline.errors import InvalidRequest, SourceNotFound, UploadConflict
from pipeline.sources.uploads.stored_files import StoredFile


@dataclass(frozen=True)
class ResumableUpload:
    """An upload that is under way, or was finished."""

    upload_id: str
    length_bytes: int
    offset_bytes: int
    """How much of it is kept: the next piece starts here."""
    file_name: str
    purpose: str
    created_at: int
    """Unix time in seconds."""
    given_up_at: int | None
    """Unix time in seconds, later with each piece; None once it is finished."""
    file: StoredFile | None = None
    """What it became."""

    @property
    def file_id(self) -> str:
        return file_id_of(self.upload_id)


class Appender(Protocol):
    """Takes the blocks of one piece, in a row."""

    def write(self, block: bytes) -> None:
        """Raises InvalidRequest for what is behind the length that was told."""


class ResumableUploads(Protocol):
    """Keeps unfinished uploads beside the finished ones of an UploadStore.

    Every method raises ServiceError when the store itself fails, and those that take an `upload_id` SourceNotFound
    when there is no such upload, or no longer.
    """

    def create(
        self, length_bytes: int, *, file_name: str, purpose: str, expires_at: int | None = None
    ) -> ResumableUpload:
        """Raises InvalidRequest, SourceTooLarge and UploadStoreFull. `expires_at` is that of the file."""

    def get(self, upload_id: str, *, settled: bool = False) -> ResumableUpload:
        """With `settled` after the piece that is being written, as when its connection has just broken.

        That can take seconds, and raises UploadConflict after some more.
        """

    def append(self, upload_id: str, offset_bytes: int) -> AbstractContextManager[Appender]:
        """To write what comes at `offset_bytes`. However the block ends, what was written until then is kept, and the
        upload is a file where that is all of it.

        Raises UploadConflict where the upload has another offset, or is being written to.
        """

    def abort(self, upload_id: str) -> None:
        """Deletes an upload that is not finished."""

    def sweep(self) -> int:
        """Deletes the uploads that were given up. Says how many."""


def new_upload_id() -> str:
    return f"upload-{secrets.token_hex(16)}"


def checked_upload_id(upload_id: str) -> str:
    if not re.fullmatch(r"upload-[0-9a-f]{32}", upload_id):
        raise SourceNotFound("There is no resumable upload with this id. Use one that was created here.")
    return upload_id


def file_id_of(upload_id: str) -> str:
    return f"file-{checked_upload_id(upload_id).removeprefix('upload-')}"


def missing(upload_id: str) -> SourceNotFound:
    return SourceNotFound(f"The resumable upload {upload_id} does not exist, or was given up. Create another one.")


def finished(file: StoredFile, upload_id: str) -> ResumableUpload:
    return ResumableUpload(
        upload_id, file.size_bytes, file.size_bytes, file.file_name, file.purpose, file.created_at, None, file
    )


def check_offset(found_bytes: int, given_bytes: int) -> None:
    if found_bytes != given_bytes:
        raise UploadConflict(
            f"Upload-Offset is {given_bytes} and {found_bytes} bytes of this upload are kept. Ask for the offset "
            "(HEAD) and go on from there."
        )


def check_length(offset_bytes: int, length_bytes: int) -> None:
    if offset_bytes > length_bytes:
        raise InvalidRequest(
            f"The piece goes {offset_bytes - length_bytes} bytes beyond the {length_bytes} bytes that Upload-Length "
            "told. Create another upload with the right length."
        )
