"""Uploads in a folder."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pipeline.config import SourceSettings
from pipeline.errors import ServiceError
from pipeline.sources import open_upload_store, page_of
from pipeline.sources.uploads.folder_uploads import (
    RESUMABLE_ABOUT,
    RESUMABLE_PREFIX,
    FolderUploads,
    abandoned_at,
    is_abandoned,
)


def test_folder_that_cannot_be_used(settings: SourceSettings, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    broken = open_upload_store(settings.model_copy(update={"upload_store": str(tmp_path / "file" / "uploads")}))
    with pytest.raises(ServiceError) as caught:
        broken.save([b"video"], file_name="a.mp4")
    assert str(tmp_path) not in caught.value.message


def test_a_file_is_in_a_folder_of_its_id(settings: SourceSettings) -> None:
    uploads = FolderUploads(settings)
    saved = uploads.save([b"vi", b"deo"], file_name="a.mp4")
    assert uploads.location(saved.file_id) == Path(settings.upload_store) / saved.file_id / "video"
    assert uploads.location(saved.file_id).read_bytes() == b"video"
    assert b"".join(uploads.read(saved.file_id, 1, 4)) == b"ide"


def test_what_a_dead_server_left_is_swept_after_a_day(
    settings: SourceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads = FolderUploads(settings)
    kept = uploads.save([b"video"], file_name="a.mp4")
    left = Path(settings.upload_store) / (".file-" + "0" * 32)
    left.mkdir()
    (left / "video").write_bytes(b"half a vid")
    assert not is_abandoned(left)
    assert uploads.sweep() == 0
    later = abandoned_at(left) + 1
    monkeypatch.setattr(time, "time", lambda: later)
    assert uploads.sweep() == 1
    assert uploads.entries() == [Path(settings.upload_store) / kept.file_id]


@pytest.mark.parametrize(
    "about", [b"", b"{", b"null", b"{}", b"\xff\xfe", b"[" * 5000, b'{"file_name": "a", "created_at": []}']
)
def test_a_record_that_cannot_be_read_is_shown_as_damaged(settings: SourceSettings, about: bytes) -> None:
    uploads = FolderUploads(settings)
    ids = [uploads.save([b"video"], file_name="a.mp4").file_id for _ in range(2)]
    (Path(settings.upload_store) / ids[0] / "about.json").write_bytes(about)
    unfinished = Path(settings.upload_store) / f"{RESUMABLE_PREFIX}{'0' * 32}"
    unfinished.mkdir()
    (unfinished / RESUMABLE_ABOUT).write_bytes(about)
    listed = {file.file_id: file for file in page_of(uploads, limit=10).files}
    assert {file_id: file.is_damaged for file_id, file in listed.items()} == {ids[0]: True, ids[1]: False}
    assert (listed[ids[0]].file_name, listed[ids[0]].size_bytes) == ("", 5)
    assert uploads.used_bytes() == 10
    assert uploads.sweep() == 0
    uploads.delete(ids[0])
    assert uploads.newest_ids() == [ids[1]]
