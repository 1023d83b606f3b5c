"""Which upload store the settings name."""

from __future__ import annotations

from pipeline.config import SourceSettings
from pipeline.sources.folder_uploads import FolderUploads
from pipeline.sources.s3_uploads import S3Uploads
from pipeline.sources.stored_files import UploadStore


def open_upload_store(settings: SourceSettings) -> UploadStore:
    """The store that `settings.upload_store` names: a folder, or `s3://bucket/prefix`."""
    if settings.upload_store.startswith("s3://"):
        return S3Uploads(settings)
    return FolderUploads(settings)
