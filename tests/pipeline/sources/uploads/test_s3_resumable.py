"""Resumable uploads in S3."""

from __future__ import annotations

from mypy_boto3_s3 import S3Client

from pipeline.config import SourceSettings
from pipeline.sources.uploads.s3_resumable import S3ResumableUploads
from tests.pipeline.sources.uploads.film import ABOUT, FILM, MIB, send


def test_two_may_write_the_same_part(s3_uploads_settings: SourceSettings, s3: S3Client) -> None:
    """S3 has no lock. The file is right, whoever wrote its parts."""
    uploads = S3ResumableUploads(s3_uploads_settings)
    upload_id = uploads.create(len(FILM), **ABOUT).upload_id
    with uploads.append(upload_id, 0) as appender:
        appender.write(FILM[: 9 * MIB])
        send(uploads, upload_id, 8 * MIB, 17 * MIB)
    assert uploads.get(upload_id).offset_bytes >= 9 * MIB
    send(uploads, upload_id, uploads.get(upload_id).offset_bytes, len(FILM))
    file = uploads.get(upload_id).file
    assert file is not None
    assert s3.get_object(Bucket="videos", Key=f"uploads/{file.file_id}")["Body"].read() == FILM


def test_the_rest_of_a_part_waits_in_an_object(s3_uploads_settings: SourceSettings, s3: S3Client) -> None:
    uploads = S3ResumableUploads(s3_uploads_settings)
    upload_id = uploads.create(len(FILM), **ABOUT).upload_id
    send(uploads, upload_id, 0, 9 * MIB)
    rest = f"uploads/.upload-{upload_id.removeprefix('upload-')}.rest"
    found = s3.get_object(Bucket="videos", Key=rest)
    assert (found["Metadata"], found["Body"].read()) == ({"part-number": "2"}, FILM[8 * MIB : 9 * MIB])
    uploads.abort(upload_id)
    assert "Contents" not in s3.list_objects_v2(Bucket="videos")
