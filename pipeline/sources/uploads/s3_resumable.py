"""Resumable uploads in S3, on top of its multipart uploads."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypedDict

from pipeline.config import SourceSettings
from pipeline.errors import SourceForbidden, SourceNotFound
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
from pipeline.sources.uploads.s3_uploads import (
    ABOUT_SUFFIX,
    RESUMABLE_PREFIX,
    S3Uploads,
    object_metadata,
    part_bytes,
    s3_store_errors,
)
from pipeline.sources.uploads.stored_files import ABANDONED_SECONDS, check_file_name, check_room, empty_file

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_REST_SUFFIX = ".rest"


@dataclass(frozen=True)
class _About:
    """The declaration that creates an upload, stored as an object."""

    multipart_id: str
    length_bytes: int
    part_bytes: int
    file_name: str
    purpose: str
    created_at: int


class _Multipart(TypedDict):
    """The arguments that identify a multipart upload to boto3."""

    Bucket: str
    Key: str
    UploadId: str


@dataclass(frozen=True)
class _Kept:
    """The stored bytes: whole parts, and the beginning of the next part, which is too small for S3 yet."""

    parts: list[CompletedPartTypeDef]
    rest: bytes
    touched_at: float


class S3ResumableUploads:
    """Part k always holds the bytes from k times the part's size on.

    So no lock is needed, and S3 has none: two requests that write the same part write the same bytes.
    """

    def __init__(self, settings: SourceSettings) -> None:
        self._settings = settings
        self._files = S3Uploads(settings)

    def create(
        self, length_bytes: int, *, file_name: str, purpose: str, expires_at: int | None = None
    ) -> ResumableUpload:
        check_file_name(file_name)
        if length_bytes == 0:
            raise empty_file()
        check_room(self._files.used_bytes(), length_bytes, self._settings)
        upload_id = new_upload_id()
        with s3_store_errors("The upload store", SourceForbidden, SourceNotFound):
            multipart = self._files.client.create_multipart_upload(
                Bucket=self._files.bucket,
                Key=self._files.key(file_id_of(upload_id)),
                Metadata=object_metadata(file_name, purpose, expires_at),
            )
        about = _About(
            multipart["UploadId"], length_bytes, part_bytes(length_bytes), file_name, purpose, int(time.time())
        )
        self._put(upload_id, ABOUT_SUFFIX, json.dumps(about.__dict__).encode())
        return self.get(upload_id)

    def get(self, upload_id: str, *, settled: bool = False) -> ResumableUpload:
        """Never waits: a piece in progress may be written again."""
        checked_upload_id(upload_id)
        with suppress(SourceNotFound):
            return self._finished(upload_id)
        try:
            upload, about, kept = self._unfinished(upload_id)
        except SourceNotFound:  # another request finished it
            return self._finished(upload_id)
        if upload.offset_bytes < upload.length_bytes:
            return upload
        self._complete(upload_id, about, kept)  # its server died before it became a file
        return self._finished(upload_id)

    @contextmanager
    def append(self, upload_id: str, offset_bytes: int) -> Iterator[_S3Appender]:
        upload, about, kept = self._unfinished(upload_id)
        check_offset(upload.offset_bytes, offset_bytes)
        appender = _S3Appender(self, upload_id, about, kept)
        try:
            yield appender
        finally:
            appender.end()
            if appender.offset_bytes == about.length_bytes:
                self._complete(upload_id, about, self._kept(upload_id, about))

    def abort(self, upload_id: str) -> None:
        checked_upload_id(upload_id)
        about = self._about(upload_id)
        with s3_store_errors("The upload store", SourceForbidden), suppress(SourceNotFound):
            self._files.client.abort_multipart_upload(**self._multipart(upload_id, about))
        self._forget(upload_id)

    def sweep(self) -> int:
        swept = 0
        for name, _, came_at in list(self._files.objects()):
            is_old = came_at + ABANDONED_SECONDS < time.time()
            if not (name.startswith(RESUMABLE_PREFIX) and is_old):
                continue
            upload_id = "upload-" + name.removeprefix(RESUMABLE_PREFIX).partition(".")[0]
            try:
                about = self._about(upload_id)
                is_abandoned = self._abandoned_at(about, self._kept(upload_id, about)) < time.time()
            except SourceNotFound:  # left by a piece that ended after its upload
                is_abandoned = True
            if is_abandoned:
                with suppress(SourceNotFound):
                    self.abort(upload_id)
                self._forget(upload_id)
                swept += name.endswith(ABOUT_SUFFIX)
        return swept

    def put_part(self, upload_id: str, about: _About, number: int, content: bytes) -> None:
        with s3_store_errors(f"The upload {upload_id}", SourceForbidden), _missing(upload_id):
            self._files.client.upload_part(
                **self._multipart(upload_id, about), PartNumber=number, Body=content, ContentLength=len(content)
            )

    def put_rest(self, upload_id: str, number: int, content: bytes) -> None:
        self._put(upload_id, _REST_SUFFIX, content, {"part-number": str(number)})

    def _finished(self, upload_id: str) -> ResumableUpload:
        with _missing(upload_id):
            return finished(self._files.get(file_id_of(upload_id)), upload_id)

    def _unfinished(self, upload_id: str) -> tuple[ResumableUpload, _About, _Kept]:
        about = self._about(upload_id)
        kept = self._kept(upload_id, about)
        abandoned_at = self._abandoned_at(about, kept)
        if abandoned_at < time.time():
            raise missing(upload_id)
        offset_bytes = min(len(kept.parts) * about.part_bytes + len(kept.rest), about.length_bytes)
        upload = ResumableUpload(
            upload_id,
            about.length_bytes,
            offset_bytes,
            about.file_name,
            about.purpose,
            about.created_at,
            int(abandoned_at),
        )
        return upload, about, kept

    @staticmethod
    def _abandoned_at(about: _About, kept: _Kept) -> float:
        return max(about.created_at, kept.touched_at) + ABANDONED_SECONDS

    def _about(self, upload_id: str) -> _About:
        with s3_store_errors(f"The upload {upload_id}", SourceForbidden), _missing(upload_id):
            body = self._files.client.get_object(Bucket=self._files.bucket, Key=self._key(upload_id, ABOUT_SUFFIX))[
                "Body"
            ].read()
        return _About(**json.loads(body))

    def _kept(self, upload_id: str, about: _About) -> _Kept:
        parts: list[CompletedPartTypeDef] = []
        touched_at = 0.0
        with s3_store_errors(f"The upload {upload_id}", SourceForbidden), _missing(upload_id):
            pages = self._files.client.get_paginator("list_parts").paginate(**self._multipart(upload_id, about))
            for page in pages:
                for part in page.get("Parts", []):
                    if part["PartNumber"] == len(parts) + 1:  # parts behind a gap are written again
                        parts.append({"PartNumber": part["PartNumber"], "ETag": part["ETag"]})
                    touched_at = max(touched_at, part["LastModified"].timestamp())
            with suppress(SourceNotFound), s3_store_errors(f"The upload {upload_id}", SourceForbidden):
                rest = self._files.client.get_object(Bucket=self._files.bucket, Key=self._key(upload_id, _REST_SUFFIX))
                touched_at = max(touched_at, rest["LastModified"].timestamp())
                if rest["Metadata"].get("part-number") == str(len(parts) + 1):
                    return _Kept(parts, rest["Body"].read(), touched_at)
        return _Kept(parts, b"", touched_at)

    def _complete(self, upload_id: str, about: _About, kept: _Kept) -> None:
        with s3_store_errors(f"The upload {upload_id}", SourceForbidden), _missing(upload_id):
            self._files.client.complete_multipart_upload(
                **self._multipart(upload_id, about), MultipartUpload={"Parts": kept.parts}
            )
        self._forget(upload_id)

    def _forget(self, upload_id: str) -> None:
        for suffix in (_REST_SUFFIX, ABOUT_SUFFIX):
            with s3_store_errors("The upload store", SourceForbidden):
                self._files.client.delete_object(Bucket=self._files.bucket, Key=self._key(upload_id, suffix))

    def _put(self, upload_id: str, suffix: str, content: bytes, metadata: dict[str, str] | None = None) -> None:
        with s3_store_errors("The upload store", SourceForbidden, SourceNotFound):
            self._files.client.put_object(
                Bucket=self._files.bucket, Key=self._key(upload_id, suffix), Body=content, Metadata=metadata or {}
            )

    def _multipart(self, upload_id: str, about: _About) -> _Multipart:
        return {
            "Bucket": self._files.bucket,
            "Key": self._files.key(file_id_of(upload_id)),
            "UploadId": about.multipart_id,
        }

    def _key(self, upload_id: str, suffix: str) -> str:
        return self._files.key(f"{RESUMABLE_PREFIX}{checked_upload_id(upload_id).removeprefix('upload-')}{suffix}")


class _S3Appender:
    """Buffers at most one part."""

    def __init__(self, uploads: S3ResumableUploads, upload_id: str, about: _About, kept: _Kept) -> None:
        self._uploads = uploads
        self._upload_id = upload_id
        self._about = about
        self._number = len(kept.parts) + 1
        self._rest = bytearray(kept.rest)
        self.offset_bytes = len(kept.parts) * about.part_bytes + len(kept.rest)

    def write(self, block: bytes) -> None:
        check_length(self.offset_bytes + len(block), self._about.length_bytes)
        self._rest += block
        self.offset_bytes += len(block)
        while len(self._rest) >= self._about.part_bytes:
            self._put_part(self._about.part_bytes)

    def end(self) -> None:
        if self.offset_bytes == self._about.length_bytes:
            if self._rest:
                self._put_part(len(self._rest))
        else:
            self._uploads.put_rest(self._upload_id, self._number, bytes(self._rest))

    def _put_part(self, size_bytes: int) -> None:
        self._uploads.put_part(self._upload_id, self._about, self._number, bytes(self._rest[:size_bytes]))
        del self._rest[:size_bytes]
        self._number += 1


@contextmanager
def _missing(upload_id: str) -> Iterator[None]:
    try:
        yield
    except SourceNotFound as error:
        raise missing(upload_id) from error
