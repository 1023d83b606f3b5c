"""Uploads that resume after a broken connection: the interface of one, and of a store of them.

All state is in the store, none in a process: each piece of an upload may reach another replica.
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
    """An unfinished or finished upload."""

    upload_id: str
    length_bytes: int
    offset_bytes: int
    """Bytes stored so far; the next piece starts here."""
    file_name: str
    purpose: str
    created_at: int
    """Unix time in seconds."""
    abandoned_at: int | None
    """When an unfinished upload expires: Unix time in seconds, extended by each piece. None once it is finished."""
    file: StoredFile | None = None
    """The file that a finished upload became."""

    @property
    def file_id(self) -> str:
        return file_id_of(self.upload_id)


class Appender(Protocol):
    """Writes the blocks of one piece, in order."""

    def write(self, block: bytes) -> None:
        """Raises InvalidRequest for bytes beyond the declared length."""


class ResumableUploads(Protocol):
    """Stores unfinished uploads in the place where an UploadStore keeps the finished ones.

    Every method raises ServiceError if the store itself fails. Methods with an `upload_id` raise SourceNotFound for an
    unknown, deleted or expired upload.
    """

    def create(
        self, length_bytes: int, *, file_name: str, purpose: str, expires_at: int | None = None
    ) -> ResumableUpload:
        """Raises InvalidRequest, SourceTooLarge and UploadStoreFull. `expires_at` applies to the finished file."""

    def get(self, upload_id: str, *, settled: bool = False) -> ResumableUpload:
        """The upload. `settled` waits for a piece in progress, such as one whose connection just broke.

        The wait can take seconds; UploadConflict ends it.
        """

    def append(self, upload_id: str, offset_bytes: int) -> AbstractContextManager[Appender]:
        """Open the upload for a piece at `offset_bytes`. The bytes written are kept however the block ends; once they
        are complete, the upload becomes a file.

        Raises UploadConflict if the upload has another offset, or another request is writing to it.
        """

    def abort(self, upload_id: str) -> None:
        """Delete an unfinished upload."""

    def sweep(self) -> int:
        """Delete expired unfinished uploads, and return their number."""


def new_upload_id() -> str:
    return f"upload-{secrets.token_hex(16)}"


def checked_upload_id(upload_id: str) -> str:
    if not re.fullmatch(r"upload-[0-9a-f]{32}", upload_id):
        raise SourceNotFound("There is no resumable upload with this id. Use one that was created here.")
    return upload_id


def file_id_of(upload_id: str) -> str:
    return f"file-{checked_upload_id(upload_id).removeprefix('upload-')}"


def missing(upload_id: str) -> SourceNotFound:
    return SourceNotFound(f"The resumable upload {upload_id} does not exist, or has expired. Create another one.")


def finished(file: StoredFile, upload_id: str) -> ResumableUpload:
    return ResumableUpload(
        upload_id, file.size_bytes, file.size_bytes, file.file_name, file.purpose, file.created_at, None, file
    )


def check_offset(found_bytes: int, given_bytes: int) -> None:
    if found_bytes != given_bytes:
        raise UploadConflict(
            f"Upload-Offset is {given_bytes} and {found_bytes} bytes of this upload are stored. Send a HEAD request "
            "for the offset, and resume from there."
        )


def check_length(offset_bytes: int, length_bytes: int) -> None:
    if offset_bytes > length_bytes:
        raise InvalidRequest(
            f"The piece extends {offset_bytes - length_bytes} bytes beyond the {length_bytes} bytes of Upload-Length. "
            "Create another upload with the right length."
        )
