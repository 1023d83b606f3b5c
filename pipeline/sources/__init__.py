"""Open a video from a URL, S3, an upload or a server path as a file on this node, behind every guard.

Everything here is synchronous; callers run it in threads.
"""

from pipeline.sources.copies import LocalCopy
from pipeline.sources.remote.http_posts import PostFailed, post
from pipeline.sources.remote.s3_objects import s3_client
from pipeline.sources.uploads.opening import open_resumable_uploads, open_upload_store
from pipeline.sources.uploads.resumable_uploads import Appender, ResumableUpload, ResumableUploads
from pipeline.sources.uploads.stored_files import (
    REQUEST_PURPOSE,
    FilePage,
    StoredFile,
    UploadStore,
    check_room,
    delete_if_present,
    page_of,
)
from pipeline.sources.video_library import VideoLibrary
from pipeline.sources.video_urls import (
    DataUrl,
    decode_data_url,
    decode_frame_list,
    parse_video_url,
)

__all__ = [
    "REQUEST_PURPOSE",
    "Appender",
    "DataUrl",
    "FilePage",
    "LocalCopy",
    "PostFailed",
    "ResumableUpload",
    "ResumableUploads",
    "StoredFile",
    "UploadStore",
    "VideoLibrary",
    "check_room",
    "decode_data_url",
    "decode_frame_list",
    "delete_if_present",
    "open_resumable_uploads",
    "open_upload_store",
    "page_of",
    "parse_video_url",
    "post",
    "s3_client",
]
