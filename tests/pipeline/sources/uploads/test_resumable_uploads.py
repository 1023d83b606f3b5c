"""The behaviour of every store of resumable uploads, in a folder and in S3."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client

from pipeline.config import SourceSettings
from pipeline.errors import InvalidRequest, SourceNotFound, SourceTooLarge, UploadConflict, UploadStoreFull
from pipeline.sources import ResumableUploads, UploadStore, VideoLibrary, open_resumable_uploads, open_upload_store
from pipeline.types import StoredVideo
from tests.pipeline.sources.contents import content_of
from tests.pipeline.sources.uploads.film import ABOUT, FILM, MIB, send


@pytest.fixture
def uploads(upload_settings: SourceSettings) -> ResumableUploads:
    return open_resumable_uploads(upload_settings)


@pytest.fixture
def files(upload_settings: SourceSettings) -> UploadStore:
    return open_upload_store(upload_settings)


@pytest.fixture
def kept(upload_settings: SourceSettings, request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """Everything that the store holds in the end, finished or not."""
    names: list[str] = []
    yield names
    if upload_settings.upload_store.startswith("s3://"):
        s3: S3Client = request.getfixturevalue("s3")
        found = [item["Key"] for item in s3.list_objects_v2(Bucket="videos").get("Contents", [])]
        found += [item["Key"] for item in s3.list_multipart_uploads(Bucket="videos").get("Uploads", [])]
    else:
        folder = Path(upload_settings.upload_store)
        found = [path.name for path in folder.iterdir()] if folder.exists() else []
    assert sorted(name.removeprefix("uploads/") for name in found) == sorted(names)


@pytest.mark.parametrize(
    "cuts", [[], [1], [8 * MIB], [8 * MIB - 1, 8 * MIB + 1], [3, 5 * MIB, 5 * MIB, 17 * MIB, len(FILM) - 1]], ids=str
)
def test_pieces_become_a_file(
    cuts: list[int], uploads: ResumableUploads, files: UploadStore, upload_settings: SourceSettings, kept: list[str]
) -> None:
    created = uploads.create(len(FILM), **ABOUT)
    assert (created.offset_bytes, created.length_bytes, created.file) == (0, len(FILM), None)
    for start, stop in zip([0, *cuts], [*cuts, len(FILM)], strict=True):
        other_replica = open_resumable_uploads(upload_settings)
        assert other_replica.get(created.upload_id).offset_bytes == start
        send(other_replica, created.upload_id, start, stop)
    upload = uploads.get(created.upload_id)
    assert upload.file == files.get(upload.file_id)
    assert (upload.file.file_name, upload.file.purpose) == tuple(ABOUT.values())
    assert upload.offset_bytes == upload.file.size_bytes == len(FILM)
    with VideoLibrary(upload_settings).open(StoredVideo(upload.file_id)) as copy:
        assert content_of(copy) == FILM
    kept.append(upload.file_id)


def test_what_came_before_a_break_is_kept(uploads: ResumableUploads, kept: list[str]) -> None:
    upload_id = uploads.create(len(FILM), **ABOUT).upload_id

    def breaking() -> None:
        with uploads.append(upload_id, 0) as appender:
            appender.write(FILM[: 9 * MIB])
            raise ConnectionResetError("client left")

    with pytest.raises(ConnectionResetError):
        breaking()
    assert uploads.get(upload_id).offset_bytes == 9 * MIB
    send(uploads, upload_id, 9 * MIB, len(FILM))
    kept.append(uploads.get(upload_id).file_id)


def test_another_offset_is_a_conflict(uploads: ResumableUploads, kept: list[str]) -> None:
    upload_id = uploads.create(len(FILM), **ABOUT).upload_id
    send(uploads, upload_id, 0, 5)
    for offset in (0, 4, 6):
        with pytest.raises(UploadConflict, match=f"Upload-Offset is {offset} and 5 bytes"):
            send(uploads, upload_id, offset, 100)
    assert uploads.get(upload_id).offset_bytes == 5
    uploads.abort(upload_id)
    assert kept == []


def test_more_than_was_told_is_refused(uploads: ResumableUploads, kept: list[str]) -> None:
    upload_id = uploads.create(10, **ABOUT).upload_id
    with pytest.raises(InvalidRequest, match="3 bytes beyond the 10"):
        send(uploads, upload_id, 0, 13)
    assert uploads.get(upload_id).offset_bytes == 0
    uploads.abort(upload_id)
    assert kept == []


def test_deleted_upload_is_gone(uploads: ResumableUploads, kept: list[str]) -> None:
    upload_id = uploads.create(len(FILM), **ABOUT).upload_id
    send(uploads, upload_id, 0, 9 * MIB)
    uploads.abort(upload_id)
    for use in (uploads.get, uploads.abort):
        with pytest.raises(SourceNotFound, match=upload_id):
            use(upload_id)
    with pytest.raises(SourceNotFound, match=upload_id):
        send(uploads, upload_id, 9 * MIB, len(FILM))
    assert kept == []


@pytest.mark.parametrize("upload_id", ["", "upload-", "upload-../../etc", "upload-" + "A" * 32, "file-" + "a" * 32])
def test_other_ids_are_not_found(upload_id: str, uploads: ResumableUploads) -> None:
    for use in (uploads.get, uploads.abort):
        with pytest.raises(SourceNotFound, match="no resumable upload with this id"):
            use(upload_id)


def test_room_is_taken_from_the_beginning(upload_settings: SourceSettings, kept: list[str]) -> None:
    small = upload_settings.model_copy(update={"max_stored_bytes": 100, "max_video_bytes": 90})
    uploads, files = open_resumable_uploads(small), open_upload_store(small)
    with pytest.raises(SourceTooLarge, match="91 bytes and 90 are allowed"):
        uploads.create(91, **ABOUT)
    with pytest.raises(InvalidRequest, match="empty"):
        uploads.create(0, **ABOUT)
    upload_id = uploads.create(60, **ABOUT).upload_id
    for refused in (lambda: uploads.create(41, **ABOUT), lambda: files.save([bytes(41)], file_name="a")):
        with pytest.raises(UploadStoreFull, match="41 bytes; of the 100 bytes that may be kept here 60 are taken"):
            refused()
    stored = files.save([bytes(40)], file_name="a")
    assert files.used_bytes() == 100
    files.delete(stored.file_id)
    uploads.abort(upload_id)
    assert files.used_bytes() == 0
    assert kept == []


def test_an_abandoned_upload_is_swept(
    uploads: ResumableUploads, kept: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_id = uploads.create(len(FILM), **ABOUT).upload_id
    send(uploads, upload_id, 0, 9 * MIB)
    assert uploads.sweep() == 0
    assert uploads.get(upload_id).offset_bytes == 9 * MIB
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 25 * 3600)
    with pytest.raises(SourceNotFound, match="has expired"):
        uploads.get(upload_id)
    assert uploads.sweep() == 1
    assert kept == []


def test_one_that_was_complete_when_its_server_died_becomes_a_file(
    uploads: ResumableUploads, kept: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def dying(*arguments: object) -> None:
        raise KeyboardInterrupt

    upload_id = uploads.create(len(FILM), **ABOUT).upload_id
    with monkeypatch.context() as patched:
        for step in ("_publish", "_complete"):
            patched.setattr(type(uploads), step, dying, raising=False)
        with pytest.raises(KeyboardInterrupt):
            send(uploads, upload_id, 0, len(FILM))
    upload = uploads.get(upload_id)
    assert upload.file is not None
    kept.append(upload.file_id)
