"""Uploads in S3."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError

from pipeline.config import SourceSettings
from pipeline.errors import ServiceError, SourceError, SourceForbidden, SourceNotFound, SourceUnavailable
from pipeline.sources.remote.retries import MAX_ATTEMPTS
from pipeline.sources.remote.s3_objects import s3_client, translated_errors
from pipeline.sources.uploads.stored_files import (
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
from pipeline.types import S3Video

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from mypy_boto3_s3 import S3Client

_MAX_PARTS = 10_000
_PART_BYTES = 8 * 1024**2
_READ_BYTES = 256 * 1024
RESUMABLE_PREFIX, ABOUT_SUFFIX = ".upload-", ".json"


class S3Uploads:
    """One object per upload, below a prefix. Its user metadata holds the file name, the purpose and the expiry."""

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        self.bucket, _, self._prefix = settings.upload_store.removeprefix("s3://").partition("/")

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
        room = self._settings.max_stored_bytes - self.used_bytes()
        reader = io.BufferedReader(_BlockReader(self._within(blocks, room)))
        with s3_store_errors("The upload store", SourceForbidden, SourceNotFound):
            self.client.upload_fileobj(
                reader,
                self.bucket,
                self.key(file_id),
                ExtraArgs={"Metadata": object_metadata(file_name, purpose, expires_at)},
                Config=self._transfer_config(),
            )
        return self.get(file_id)

    def get(self, file_id: str) -> StoredFile:
        stored = self._stored(file_id)
        if stored.is_expired:
            raise expired(file_id)
        return stored

    def delete(self, file_id: str) -> None:
        self._stored(file_id)  # S3 reports no error for objects that do not exist
        with s3_store_errors(f"The upload {file_id}", SourceForbidden):
            self.client.delete_object(Bucket=self.bucket, Key=self.key(file_id))

    def location(self, file_id: str) -> S3Video:
        return S3Video(self.bucket, self.key(checked_file_id(file_id)))

    def read(self, file_id: str, start: int, stop: int) -> Iterator[bytes]:
        video = self.location(file_id)
        if start >= stop:
            return
        with s3_store_errors(f"The upload {file_id}", SourceForbidden):
            body = self.client.get_object(Bucket=video.bucket, Key=video.key, Range=f"bytes={start}-{stop - 1}")["Body"]
        try:
            yield from body.iter_chunks(_READ_BYTES)
        except BotoCoreError as error:
            raise SourceUnavailable(f"The upload {file_id} broke off: the S3 store does not answer.") from error
        finally:
            body.close()

    def newest_ids(self) -> list[str]:
        newest = sorted(self.objects(), key=lambda found: (found[2], found[0]), reverse=True)
        return [name for name, _, _ in newest if is_file_id(name)]

    def used_bytes(self) -> int:
        """Unfinished resumable uploads count with their declared size: S3's lists do not show their parts."""
        sizes = 0
        for name, size_bytes, _ in self.objects():
            if is_file_id(name):
                sizes += size_bytes
            elif name.startswith(RESUMABLE_PREFIX) and name.endswith(ABOUT_SUFFIX):
                with suppress(SourceNotFound, ValueError, TypeError, KeyError):  # gone by now, or damaged
                    sizes += self._announced_bytes(name)
        return sizes

    def sweep(self) -> int:
        swept = 0
        for name, _, _ in self.objects():
            with suppress(SourceNotFound):
                if is_file_id(name) and self._stored(name).is_expired:
                    self.delete(name)
                    swept += 1
        return swept

    @cached_property
    def client(self) -> S3Client:
        return s3_client(self._settings, max_attempts=MAX_ATTEMPTS)

    def key(self, name: str) -> str:
        return "/".join(part for part in (self._prefix.strip("/"), name) if part)

    def _stored(self, file_id: str) -> StoredFile:
        key = self.key(checked_file_id(file_id))
        with s3_store_errors(f"The upload {file_id}", SourceForbidden):
            head = self.client.head_object(Bucket=self.bucket, Key=key)
        metadata, created_at = head["Metadata"], head["LastModified"].timestamp()
        try:
            expires_at = int(metadata["expires-at"]) if "expires-at" in metadata else None
        except ValueError:
            return damaged_file(file_id, head["ContentLength"], created_at)
        return StoredFile(
            file_id,
            head["ContentLength"],
            unquote(metadata.get("file-name", "")),
            int(created_at),
            unquote(metadata.get("purpose", DEFAULT_PURPOSE)),
            expires_at,
        )

    def objects(self) -> Iterator[tuple[str, int, float]]:
        """Name, size and time of the objects directly below the prefix."""
        prefix = self.key("")
        prefix = f"{prefix}/" if prefix else ""
        with s3_store_errors("The upload store", SourceForbidden, SourceNotFound):
            pages = self.client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=prefix, Delimiter="/"
            )
            for page in pages:
                for found in page.get("Contents", []):
                    yield found["Key"].removeprefix(prefix), found["Size"], found["LastModified"].timestamp()

    def _announced_bytes(self, name: str) -> int:
        with s3_store_errors("The upload store", SourceForbidden):
            about = self.client.get_object(Bucket=self.bucket, Key=self.key(name))["Body"].read()
        return int(json.loads(about)["length_bytes"])

    def _within(self, blocks: Iterable[bytes], room_bytes: int) -> Iterator[bytes]:
        """The blocks; raises UploadStoreFull in place of the first one without room."""
        size_bytes = 0
        for block in checked_blocks(blocks, self._settings.max_video_bytes):
            size_bytes += len(block)
            if size_bytes > room_bytes:
                check_room(self._settings.max_stored_bytes - room_bytes, size_bytes, self._settings)
            yield block

    def _transfer_config(self) -> TransferConfig:
        # boto3's ten threads would hold a part each, for every client that is uploading.
        return TransferConfig(multipart_chunksize=part_bytes(self._settings.max_video_bytes), use_threads=False)


def part_bytes(size_bytes: int) -> int:
    """The size of an upload's parts. S3 takes up to 10,000, each of at least 5 MiB except for the last."""
    return max(_PART_BYTES, size_bytes // (_MAX_PARTS - 1))


def object_metadata(file_name: str, purpose: str, expires_at: int | None) -> dict[str, str]:
    metadata = {"file-name": quote(file_name), "purpose": quote(purpose)}  # S3 accepts ASCII only
    return metadata if expires_at is None else metadata | {"expires-at": str(expires_at)}


class _BlockReader(io.RawIOBase):
    """A file over blocks, for boto3."""

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
def s3_store_errors(name: str, *ours: type[SourceError]) -> Iterator[None]:
    """Translate errors of S3. Errors in `ours` become ServiceErrors: the operator must solve them, not the client."""
    try:
        with translated_errors(name):
            yield
    except ours as error:
        raise ServiceError(
            "The upload store cannot be used. Have the operator check upload_store and its S3 credentials."
        ) from error
