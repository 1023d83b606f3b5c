"""Uploads in a folder, which all nodes share when there are several."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.config import SourceSettings
from pipeline.errors import ServiceError, SourceNotFound
from pipeline.sources.stored_files import (
    StoredFile,
    check_file_name,
    checked_blocks,
    checked_file_id,
    new_file_id,
)


class FolderUploads:
    """One folder per upload, with `video` and `about.json`. It is renamed into place when it is complete."""

    def __init__(self, settings: SourceSettings) -> None:
        self._folder = Path(settings.upload_store).absolute()
        self._max_bytes = settings.max_video_bytes

    def save(self, blocks: Iterable[bytes], *, file_name: str) -> StoredFile:
        check_file_name(file_name)
        file_id = new_file_id()
        unfinished = self._hidden(file_id)
        try:
            with _folder_errors():
                unfinished.mkdir(mode=0o700, parents=True)
            size_bytes = self._write(unfinished / "video", blocks)
            stored = StoredFile(file_id, size_bytes, file_name, int(time.time()))
            with _folder_errors():
                about = {"file_name": stored.file_name, "created_at": stored.created_at}
                (unfinished / "about.json").write_text(json.dumps(about))
                unfinished.rename(self._folder / file_id)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        return stored

    def get(self, file_id: str) -> StoredFile:
        folder = self._visible(file_id)
        with _folder_errors(), _missing_upload(file_id):
            about = json.loads((folder / "about.json").read_text())
            size_bytes = (folder / "video").stat().st_size
        return StoredFile(file_id, size_bytes, about["file_name"], about["created_at"])

    def delete(self, file_id: str) -> None:
        folder = self._visible(file_id)
        with _folder_errors():
            with _missing_upload(file_id):
                folder.rename(self._hidden(file_id))
            shutil.rmtree(self._hidden(file_id))

    def location(self, file_id: str) -> Path:
        return self._visible(file_id) / "video"

    def _visible(self, file_id: str) -> Path:
        return self._folder / checked_file_id(file_id)

    def _hidden(self, file_id: str) -> Path:
        return self._folder / f".{file_id}"

    def _write(self, path: Path, blocks: Iterable[bytes]) -> int:
        with _folder_errors():
            file = path.open("xb")
        with file:
            for block in checked_blocks(blocks, self._max_bytes):
                with _folder_errors():
                    file.write(block)
            with _folder_errors():
                file.flush()
                os.fsync(file.fileno())
            return file.tell()


@contextmanager
def _folder_errors() -> Iterator[None]:
    """The one place where errors of the upload folder become ours."""
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
