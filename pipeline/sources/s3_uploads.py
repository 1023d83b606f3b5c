"""Uploads in S3."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from boto3.s3.transfer import TransferConfig

from pipeline.config import SourceSettings
from pipeline.errors import ServiceError, SourceError, SourceForbidden, SourceNotFound
from pipeline.sources.attempts import MAX_ATTEMPTS
from pipeline.sources.s3_objects import s3_client, translated_errors
from pipeline.sources.stored_files import (
    StoredFile,
    check_file_name,
    checked_blocks,
    checked_file_id,
    new_file_id,
)
from pipeline.types import S3Video

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from mypy_boto3_s3 import S3Client

_MAX_PARTS = 10_000
_PART_BYTES = 8 * 1024**2


class S3Uploads:
    """One object per upload, below a prefix. Its user metadata carries the file's name."""

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        self._bucket, _, self._prefix = settings.upload_store.removeprefix("s3://").partition("/")

    def save(self, blocks: Iterable[bytes], *, file_name: str) -> StoredFile:
        check_file_name(file_name)
        file_id = new_file_id()
        reader = io.BufferedReader(_BlockReader(checked_blocks(blocks, self._settings.max_video_bytes)))
        with _s3_store_errors("The upload store", SourceForbidden, SourceNotFound):
            self._client.upload_fileobj(
                reader,
                self._bucket,
                self._key(file_id),
                ExtraArgs={"Metadata": {"file-name": quote(file_name)}},  # S3 takes ASCII only
                Config=self._transfer_config(),
            )
        return self.get(file_id)

    def get(self, file_id: str) -> StoredFile:
        key = self._key(file_id)
        with _s3_store_errors(f"The upload {file_id}", SourceForbidden):
            head = self._client.head_object(Bucket=self._bucket, Key=key)
        file_name = unquote(head["Metadata"].get("file-name", ""))
        return StoredFile(file_id, head["ContentLength"], file_name, int(head["LastModified"].timestamp()))

    def delete(self, file_id: str) -> None:
        self.get(file_id)  # S3 itself is silent about objects that do not exist
        with _s3_store_errors(f"The upload {file_id}", SourceForbidden):
            self._client.delete_object(Bucket=self._bucket, Key=self._key(file_id))

    def location(self, file_id: str) -> S3Video:
        return S3Video(self._bucket, self._key(file_id))

    @cached_property
    def _client(self) -> S3Client:
        return s3_client(self._settings, max_attempts=MAX_ATTEMPTS)

    def _key(self, file_id: str) -> str:
        return "/".join(part for part in (self._prefix.strip("/"), checked_file_id(file_id)) if part)

    def _transfer_config(self) -> TransferConfig:
        part_bytes = max(_PART_BYTES, self._settings.max_video_bytes // (_MAX_PARTS - 1))
        # boto3's ten threads would hold a part each, for every client that is uploading.
        return TransferConfig(multipart_chunksize=part_bytes, use_threads=False)


class _BlockReader(io.RawIOBase):
    """Lets boto3, which wants a file, read from blocks."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        target = memoryview(buffer)
        if not self._rest:
            self._rest = memoryview(next(self._blocks, b""))
        size = min(len(target), len(self._rest))
        target[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


@contextmanager
def _s3_store_errors(name: str, *ours: type[SourceError]) -> Iterator[None]:
    """Errors of S3, of which those in `ours` are the operator's to solve and not the client's."""
    try:
        with translated_errors(name):
            yield
    except ours as error:
        raise ServiceError(
            "The upload store cannot be used. Have the operator check upload_store and its S3 credentials."
        ) from error
