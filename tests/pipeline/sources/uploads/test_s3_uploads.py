"""Uploads in S3."""

from __future__ import annotations

import pytest
from mypy_boto3_s3 import S3Client

from pipeline.config import SourceSettings
from pipeline.errors import ServiceError
from pipeline.sources import open_upload_store, page_of
from pipeline.sources.uploads.s3_uploads import (
    ABOUT_SUFFIX,
    RESUMABLE_PREFIX,
    S3Uploads,
    object_metadata,
    part_bytes,
)
from pipeline.types import S3Video

MIB, GIB = 1024**2, 1024**3


@pytest.mark.usefixtures("s3")
def test_bucket_that_cannot_be_used(s3_settings: SourceSettings) -> None:
    broken = open_upload_store(s3_settings.model_copy(update={"upload_store": "s3://no-such-bucket/uploads"}))
    with pytest.raises(ServiceError, match="upload_store") as caught:
        broken.save([b"video"], file_name="a.mp4")
    assert "no-such-bucket" not in caught.value.message


def test_a_file_is_an_object_of_its_id(s3_uploads_settings: SourceSettings, s3: S3Client) -> None:
    uploads = S3Uploads(s3_uploads_settings)
    saved = uploads.save([b"vi", b"deo"], file_name="Urlaub \u2600.mp4")
    assert uploads.location(saved.file_id) == S3Video("videos", f"uploads/{saved.file_id}")
    head = s3.head_object(Bucket="videos", Key=f"uploads/{saved.file_id}")
    assert head["Metadata"] == object_metadata("Urlaub \u2600.mp4", saved.purpose, None)
    assert b"".join(uploads.read(saved.file_id, 1, 4)) == b"ide"


@pytest.mark.parametrize(("size_bytes", "part"), [(0, 8 * MIB), (20 * GIB, 8 * MIB), (200 * GIB, 200 * GIB // 9999)])
def test_an_upload_fits_ten_thousand_parts(size_bytes: int, part: int) -> None:
    assert part_bytes(size_bytes) == part
    assert -(-size_bytes // part) <= 10_000


def test_a_record_that_cannot_be_read_is_shown_as_damaged(s3_uploads_settings: SourceSettings, s3: S3Client) -> None:
    uploads = S3Uploads(s3_uploads_settings)
    ids = [uploads.save([b"video"], file_name="a.mp4").file_id for _ in range(2)]
    s3.put_object(Bucket="videos", Key=uploads.key(ids[0]), Body=b"video", Metadata={"expires-at": "tomorrow"})
    s3.put_object(Bucket="videos", Key=uploads.key(f"{RESUMABLE_PREFIX}{'0' * 32}{ABOUT_SUFFIX}"), Body=b"{")
    listed = {file.file_id: file for file in page_of(uploads, limit=10).files}
    assert {file_id: file.is_damaged for file_id, file in listed.items()} == {ids[0]: True, ids[1]: False}
    assert (listed[ids[0]].file_name, listed[ids[0]].size_bytes) == ("", 5)
    assert uploads.used_bytes() == 10
    assert uploads.sweep() == 0
    uploads.delete(ids[0])
    assert uploads.newest_ids() == [ids[1]]
