"""Open the upload store that the settings name."""

from __future__ import annotations

from pipeline.config import SourceSettings
from pipeline.sources.uploads.folder_resumable import FolderResumableUploads
from pipeline.sources.uploads.folder_uploads import FolderUploads
from pipeline.sources.uploads.resumable_uploads import ResumableUploads
from pipeline.sources.uploads.s3_resumable import S3ResumableUploads
from pipeline.sources.uploads.s3_uploads import S3Uploads
from pipeline.sources.uploads.stored_files import UploadStore


def open_upload_store(settings: SourceSettings) -> UploadStore:
    """The store that `settings.upload_store` names: a folder, or `s3://bucket/prefix`."""
    return S3Uploads(settings) if _is_s3(settings) else FolderUploads(settings)


def open_resumable_uploads(settings: SourceSettings) -> ResumableUploads:
    """Unfinished uploads in the same store."""
    return S3ResumableUploads(settings) if _is_s3(settings) else FolderResumableUploads(settings)


def _is_s3(settings: SourceSettings) -> bool:
    return settings.upload_store.startswith("s3://")
