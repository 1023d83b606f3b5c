"""Resumable uploads in the folder of the finished ones."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from pipeline.config import SourceSettings
from pipeline.errors import SourceNotFound, UploadConflict
from pipeline.sources.uploads.folder_uploads import (
    RESUMABLE_ABOUT,
    RESUMABLE_PREFIX,
    FolderUploads,
    abandoned_at,
    folder_errors,
    is_abandoned,
)
from pipeline.sources.uploads.resumable_uploads import (
    ResumableUpload,
    check_length,
    check_offset,
    checked_upload_id,
    file_id_of,
    finished,
    missing,
    new_upload_id,
)
from pipeline.sources.uploads.stored_files import StoredFile, check_file_name, check_room, empty_file
from pipeline.unicode import encodable_json

_LOCK_SECONDS = 10.0
"""A broken connection locks its upload until the server notices, usually at once."""
_LOCK_PAUSE_SECONDS = 0.05


class FolderResumableUploads:
    """A hidden folder per upload, with `video`, whose size is the offset. It becomes the folder of the file.

    A writer holds a lock on `video`, which the kernel releases when its process ends.
    """

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        self._files = FolderUploads(settings)

    def create(
        self, length_bytes: int, *, file_name: str, purpose: str, expires_at: int | None = None
    ) -> ResumableUpload:
        check_file_name(file_name)
        if length_bytes == 0:
            raise empty_file()
        check_room(self._files.used_bytes(), length_bytes, self._settings)
        upload_id = new_upload_id()
        folder = self._folder(upload_id)
        about = {
            "length_bytes": length_bytes,
            "file_name": file_name,
            "purpose": purpose,
            "created_at": int(time.time()),
            "expires_at": expires_at,
        }
        with folder_errors():
            folder.mkdir(mode=0o700, parents=True)
            (folder / "video").touch()
            (folder / RESUMABLE_ABOUT).write_text(json.dumps(about))
        return self._unfinished(upload_id)

    def get(self, upload_id: str, *, settled: bool = False) -> ResumableUpload:
        checked_upload_id(upload_id)
        with suppress(SourceNotFound):
            return self._finished(upload_id)
        try:
            with self._locked(upload_id) if settled else nullcontext():
                upload = self._unfinished(upload_id)
            if upload.offset_bytes < upload.length_bytes:
                return upload
            with self.append(upload_id, upload.offset_bytes):  # its server died before it became a file
                pass
        except SourceNotFound:  # another request just did so
            return self._finished(upload_id)
        return self._finished(upload_id)

    @contextmanager
    def append(self, upload_id: str, offset_bytes: int) -> Iterator[_FolderAppender]:
        with self._locked(upload_id) as file:
            upload = self._unfinished(upload_id)
            check_offset(upload.offset_bytes, offset_bytes)
            appender = _FolderAppender(file, offset_bytes, upload.length_bytes)
            try:
                yield appender
            finally:
                with folder_errors():
                    file.flush()
                    os.fsync(file.fileno())
                if appender.offset_bytes == upload.length_bytes:
                    self._publish(upload)

    def abort(self, upload_id: str) -> None:
        checked_upload_id(upload_id)
        with self._locked(upload_id), folder_errors():
            shutil.rmtree(self._folder(upload_id))

    def sweep(self) -> int:
        swept = 0
        for path in self._files.entries():
            with suppress(FileNotFoundError):
                if path.name.startswith(RESUMABLE_PREFIX) and is_abandoned(path):
                    shutil.rmtree(path, ignore_errors=True)
                    swept += 1
        return swept

    def _folder(self, upload_id: str) -> Path:
        return self._files.folder / f"{RESUMABLE_PREFIX}{checked_upload_id(upload_id).removeprefix('upload-')}"

    def _unfinished(self, upload_id: str) -> ResumableUpload:
        folder = self._folder(upload_id)
        with folder_errors(), _missing(upload_id):
            about = encodable_json(json.loads((folder / RESUMABLE_ABOUT).read_text()))
            offset_bytes = (folder / "video").stat().st_size
            if is_abandoned(folder):
                raise missing(upload_id)
            return ResumableUpload(
                upload_id,
                about["length_bytes"],
                offset_bytes,
                about["file_name"],
                about["purpose"],
                about["created_at"],
                abandoned_at(folder),
            )

    def _finished(self, upload_id: str) -> ResumableUpload:
        with _missing_file(upload_id):
            return finished(self._files.get(file_id_of(upload_id)), upload_id)

    def _publish(self, upload: ResumableUpload) -> None:
        folder = self._folder(upload.upload_id)
        with folder_errors(), _missing(upload.upload_id):
            expires_at = json.loads((folder / RESUMABLE_ABOUT).read_text())["expires_at"]
        self._files.publish(
            folder,
            StoredFile(
                upload.file_id, upload.length_bytes, upload.file_name, int(time.time()), upload.purpose, expires_at
            ),
        )

    @contextmanager
    def _locked(self, upload_id: str) -> Iterator[BinaryIO]:
        """The upload's bytes, locked so that this block alone appends to them."""
        path = self._folder(upload_id) / "video"
        with folder_errors(), _missing(upload_id):
            file = path.open("r+b")
        with file:
            _lock(file)
            with folder_errors():
                if not path.exists():  # the last holder of the lock finished or deleted it
                    raise missing(upload_id)
                file.seek(0, os.SEEK_END)
            yield file


@dataclass
class _FolderAppender:
    file: BinaryIO
    offset_bytes: int
    length_bytes: int

    def write(self, block: bytes) -> None:
        check_length(self.offset_bytes + len(block), self.length_bytes)
        with folder_errors():
            self.file.write(block)
        self.offset_bytes += len(block)


def _lock(file: BinaryIO) -> None:
    until = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                raise UploadConflict(
                    "Another request is writing to this upload. Wait until it ends, and send a HEAD request for the "
                    "offset."
                ) from None
            time.sleep(_LOCK_PAUSE_SECONDS)
        else:
            return


@contextmanager
def _missing(upload_id: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise missing(upload_id) from error


@contextmanager
def _missing_file(upload_id: str) -> Iterator[None]:
    """Name the upload, not the file, in the error: the client asked for the upload."""
    try:
        yield
    except SourceNotFound as error:
        raise missing(upload_id) from error
