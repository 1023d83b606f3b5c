"""Uploads in a folder, which all nodes share."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from pipeline.config import SourceSettings
from pipeline.errors import ServiceError, SourceNotFound
from pipeline.sources.uploads.stored_files import (
    ABANDONED_SECONDS,
    DEFAULT_PURPOSE,
    StoredFile,
    check_file_name,
    check_room,
    checked_blocks,
    checked_file_id,
    damaged_file,
    expired,
    is_file_id,
    new_file_id,
)
from pipeline.unicode import encodable_json

_READ_BYTES = 256 * 1024
RESUMABLE_PREFIX = ".upload-"
RESUMABLE_ABOUT = "upload.json"


@dataclass(frozen=True)
class _Record:
    """The content of `about.json`."""

    file_name: str
    created_at: int
    purpose: str = DEFAULT_PURPOSE
    """Uploads from before 0.2 have neither this nor an expiry."""
    expires_at: int | None = None


_RECORD = TypeAdapter(_Record)


class FolderUploads:
    """One folder per upload, with `video` and `about.json`. It is renamed into place once it is complete."""

    def __init__(self, settings: SourceSettings) -> None:
        self.folder = Path(settings.upload_store).absolute()
        self._settings = settings

    def save(
        self,
        blocks: Iterable[bytes],
        *,
        file_name: str,
        purpose: str = DEFAULT_PURPOSE,
        expires_at: int | None = None,
    ) -> StoredFile:
        check_file_name(file_name)
        file_id = new_file_id()
        unfinished = self._hidden(file_id)
        try:
            with folder_errors():
                unfinished.mkdir(mode=0o700, parents=True)
            size_bytes = self._write(unfinished / "video", blocks)
            check_room(self.used_bytes() - size_bytes, size_bytes, self._settings)  # used_bytes() already counts it
            stored = StoredFile(file_id, size_bytes, file_name, int(time.time()), purpose, expires_at)
            self.publish(unfinished, stored)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        return stored

    def publish(self, unfinished: Path, stored: StoredFile) -> None:
        """Turn the folder `unfinished`, with its complete `video`, into the upload."""
        about = {
            "file_name": stored.file_name,
            "created_at": stored.created_at,
            "purpose": stored.purpose,
            "expires_at": stored.expires_at,
        }
        with folder_errors():
            (unfinished / "about.json").write_text(json.dumps(about))
            unfinished.rename(self.folder / stored.file_id)

    def get(self, file_id: str) -> StoredFile:
        stored = self._stored(file_id)
        if stored.is_expired:
            raise expired(file_id)
        return stored

    def delete(self, file_id: str) -> None:
        folder = self._visible(file_id)
        with folder_errors():
            with _missing_upload(file_id):
                folder.rename(self._hidden(file_id))
            shutil.rmtree(self._hidden(file_id))

    def location(self, file_id: str) -> Path:
        return self._visible(file_id) / "video"

    def read(self, file_id: str, start: int, stop: int) -> Iterator[bytes]:
        path = self.location(file_id)
        with folder_errors(), _missing_upload(file_id):
            file = path.open("rb")
        with file:
            file.seek(start)
            while start < stop:
                with folder_errors():
                    block = file.read(min(_READ_BYTES, stop - start))
                if not block:
                    return
                start += len(block)
                yield block

    def newest_ids(self) -> list[str]:
        came_at: dict[str, int] = {}
        for path in self.entries():
            if is_file_id(path.name):
                with suppress(FileNotFoundError):
                    came_at[path.name] = (path / "about.json").stat().st_mtime_ns
        return sorted(came_at, key=lambda file_id: (came_at[file_id], file_id), reverse=True)

    def used_bytes(self) -> int:
        return sum(self._entry_bytes(path) for path in self.entries())

    def sweep(self) -> int:
        swept = 0
        for path in self.entries():
            with suppress(FileNotFoundError, SourceNotFound):
                if is_file_id(path.name):
                    if self._stored(path.name).is_expired:
                        self.delete(path.name)
                        swept += 1
                elif path.name.startswith(".file-") and is_abandoned(path):
                    shutil.rmtree(path, ignore_errors=True)
                    swept += 1
        return swept

    def _stored(self, file_id: str) -> StoredFile:
        folder = self._visible(file_id)
        with folder_errors(), _missing_upload(file_id):
            about = (folder / "about.json").read_bytes()
            came_at = (folder / "about.json").stat().st_mtime
            size_bytes = (folder / "video").stat().st_size
        try:
            record = _RECORD.validate_python(encodable_json(json.loads(about)))
        except (ValueError, RecursionError):
            return damaged_file(file_id, size_bytes, came_at)
        return StoredFile(file_id, size_bytes, record.file_name, record.created_at, record.purpose, record.expires_at)

    def _visible(self, file_id: str) -> Path:
        return self.folder / checked_file_id(file_id)

    def _hidden(self, file_id: str) -> Path:
        return self.folder / f".{file_id}"

    def entries(self) -> list[Path]:
        with folder_errors():
            return list(self.folder.iterdir()) if self.folder.exists() else []

    @staticmethod
    def _entry_bytes(path: Path) -> int:
        try:
            if path.name.startswith(RESUMABLE_PREFIX):
                return int(json.loads((path / RESUMABLE_ABOUT).read_text())["length_bytes"])
            return (path / "video").stat().st_size
        except (OSError, ValueError, TypeError, KeyError, RecursionError):  # being created or deleted, or damaged
            return 0

    def _write(self, path: Path, blocks: Iterable[bytes]) -> int:
        with folder_errors():
            file = path.open("xb")
        with file:
            for block in checked_blocks(blocks, self._settings.max_video_bytes):
                with folder_errors():
                    file.write(block)
            with folder_errors():
                file.flush()
                os.fsync(file.fileno())
            return file.tell()


def abandoned_at(unfinished: Path) -> int:
    """When an unfinished upload expires. Unix time in seconds."""
    video = unfinished / "video"
    return int((video if video.exists() else unfinished).stat().st_mtime) + ABANDONED_SECONDS


def is_abandoned(unfinished: Path) -> bool:
    return time.time() > abandoned_at(unfinished)


@contextmanager
def folder_errors() -> Iterator[None]:
    """The one place that translates errors of the upload folder."""
    try:
        yield
    except OSError as error:
        raise ServiceError(
            f"The upload store failed: {error.strerror}. Have the operator check the space and the "
            "permissions of upload_store."
        ) from error


@contextmanager
def _missing_upload(file_id: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise SourceNotFound(f"The upload {file_id} does not exist. Upload the file again.", param="file_id") from error
