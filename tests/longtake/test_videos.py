"""Which videos have to be uploaded, and how requests name the others."""

from __future__ import annotations

from pathlib import Path

import pytest

from longtake import ServerPath
from longtake.videos import Video, is_local_file, video_fields

FILE_ID = "file-" + "0" * 32


@pytest.mark.parametrize("video", ["cat.mp4", "/films/cat.mp4", Path("cat.mp4"), Path("file-1"), "file-1", "data.mp4"])
def test_local_files(video: Video) -> None:
    assert is_local_file(video)


@pytest.mark.parametrize(
    ("video", "fields"),
    [
        ("https://example.com/cat.mp4", {"video_url": "https://example.com/cat.mp4"}),
        ("s3://films/cat.mp4", {"video_url": "s3://films/cat.mp4"}),
        ("data:video/mp4;base64,AAAA", {"video_url": "data:video/mp4;base64,AAAA"}),
        (FILE_ID, {"file_id": FILE_ID}),
        (ServerPath("cat.mp4"), {"video_path": "cat.mp4"}),
    ],
)
def test_videos_that_the_server_reaches(video: Video, fields: dict[str, str]) -> None:
    assert not is_local_file(video)
    assert video_fields(video) == fields
