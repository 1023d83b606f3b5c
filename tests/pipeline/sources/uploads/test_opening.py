"""Choose the upload store by its address."""

from __future__ import annotations

import pytest

from pipeline.config import SourceSettings
from pipeline.sources import open_resumable_uploads, open_upload_store
from pipeline.sources.uploads.folder_resumable import FolderResumableUploads
from pipeline.sources.uploads.folder_uploads import FolderUploads
from pipeline.sources.uploads.s3_resumable import S3ResumableUploads
from pipeline.sources.uploads.s3_uploads import S3Uploads


@pytest.mark.parametrize(
    ("upload_store", "files", "resumable"),
    [
        ("/srv/uploads", FolderUploads, FolderResumableUploads),
        ("s3:/uploads", FolderUploads, FolderResumableUploads),
        ("s3://bucket", S3Uploads, S3ResumableUploads),
        ("s3://bucket/a/prefix", S3Uploads, S3ResumableUploads),
    ],
)
def test_the_address_decides(upload_store: str, files: type, resumable: type) -> None:
    """Nothing is opened or created yet: neither the folder nor the bucket exists."""
    settings = SourceSettings(upload_store=upload_store)
    assert type(open_upload_store(settings)) is files
    assert type(open_resumable_uploads(settings)) is resumable
