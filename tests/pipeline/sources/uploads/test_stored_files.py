"""The behaviour of every upload store, in a folder and in S3."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from mypy_boto3_s3 import S3Client

from pipeline.config import SourceSettings
from pipeline.errors import (
    InvalidRequest,
    SourceChanged,
    SourceNotFound,
    SourceTooLarge,
)
from pipeline.sources import UploadStore, VideoLibrary, open_upload_store
from pipeline.types import StoredVideo
from tests.pipeline.sources.contents import content_of

BLOCK = os.urandom(1024**2)


@pytest.fixture
def store(upload_settings: SourceSettings) -> UploadStore:
    return open_upload_store(upload_settings)


def kept(settings: SourceSettings, request: pytest.FixtureRequest) -> list[str]:
    """Everything that the store holds, finished or not."""
    if settings.upload_store.startswith("s3://"):
        s3: S3Client = request.getfixturevalue("s3")
        unfinished = s3.list_multipart_uploads(Bucket="videos").get("Uploads", [])
        objects = s3.list_objects_v2(Bucket="videos").get("Contents", [])
        return [item["Key"] for item in objects] + [upload["Key"] for upload in unfinished]
    folder = Path(settings.upload_store)
    return [path.name for path in folder.iterdir()] if folder.exists() else []


@pytest.mark.parametrize("num_blocks", [1, 20])  # 20 MiB: three parts in S3
def test_saved_file_comes_back(
    store: UploadStore, upload_settings: SourceSettings, request: pytest.FixtureRequest, num_blocks: int
) -> None:
    saved = store.save((BLOCK for _ in range(num_blocks)), file_name="Urlaub \u2600 ../1.mp4")
    assert saved.size_bytes == num_blocks * len(BLOCK)
    assert saved.file_name == "Urlaub \u2600 ../1.mp4"
    assert abs(saved.created_at - time.time()) < 60
    assert store.get(saved.file_id) == saved
    with VideoLibrary(upload_settings).open(StoredVideo(saved.file_id)) as copy:
        assert content_of(copy) == BLOCK * num_blocks
        fingerprint = copy.fingerprint
    with VideoLibrary(upload_settings).open(StoredVideo(saved.file_id), fingerprint) as copy:
        assert copy.fingerprint == fingerprint
    assert len(kept(upload_settings, request)) == 1


def test_file_ids_cannot_be_guessed(store: UploadStore) -> None:
    first, second = (store.save([b"video"], file_name="a").file_id for _ in range(2))
    assert first != second
    assert len(first) == len("file-") + 32


def test_deleted_file_is_gone(
    store: UploadStore, upload_settings: SourceSettings, request: pytest.FixtureRequest
) -> None:
    saved = store.save([b"video"], file_name="a.mp4")
    store.delete(saved.file_id)
    assert kept(upload_settings, request) == []
    for use in (store.get, store.delete):
        with pytest.raises(SourceNotFound, match=saved.file_id):
            use(saved.file_id)
    with (
        pytest.raises(SourceNotFound, match=saved.file_id) as caught,
        VideoLibrary(upload_settings).open(StoredVideo(saved.file_id)),
    ):
        pass
    assert caught.value.param == "file_id"
    assert "videos/uploads" not in caught.value.message


def test_replaced_file_is_noticed(upload_settings: SourceSettings, store: UploadStore) -> None:
    saved = store.save([b"video"], file_name="a.mp4")
    with (
        pytest.raises(SourceChanged, match=saved.file_id),
        VideoLibrary(upload_settings).open(StoredVideo(saved.file_id), "0" * 32),
    ):
        pass


@pytest.mark.parametrize("num_blocks", [2, 20])
def test_oversize_leaves_nothing(
    upload_settings: SourceSettings, request: pytest.FixtureRequest, num_blocks: int
) -> None:
    max_bytes = num_blocks * len(BLOCK) - 1
    small = open_upload_store(upload_settings.model_copy(update={"max_video_bytes": max_bytes}))
    with pytest.raises(SourceTooLarge, match=f"{max_bytes} bytes"):
        small.save((BLOCK for _ in range(1000)), file_name="a.mp4")
    assert kept(upload_settings, request) == []


@pytest.mark.parametrize("blocks", [[], [b""], [b"", b""]])
def test_empty_file(
    store: UploadStore, upload_settings: SourceSettings, request: pytest.FixtureRequest, blocks: list[bytes]
) -> None:
    with pytest.raises(InvalidRequest, match="empty"):
        store.save(blocks, file_name="a.mp4")
    assert kept(upload_settings, request) == []


@pytest.mark.parametrize("good_blocks", [1, 10])
def test_client_that_leaves(
    store: UploadStore, upload_settings: SourceSettings, request: pytest.FixtureRequest, good_blocks: int
) -> None:
    def blocks() -> Iterator[bytes]:
        for _ in range(good_blocks):
            yield BLOCK
        raise ConnectionResetError("client left")

    with pytest.raises(ConnectionResetError):
        store.save(blocks(), file_name="a.mp4")
    assert kept(upload_settings, request) == []


def test_empty_blocks_between(store: UploadStore, upload_settings: SourceSettings) -> None:
    saved = store.save([b"", b"vi", b"", b"deo"], file_name="a.mp4")
    with VideoLibrary(upload_settings).open(StoredVideo(saved.file_id)) as copy:
        assert content_of(copy) == b"video"


@pytest.mark.parametrize(
    "file_id",
    [
        "",
        "file-",
        "../media/a.mp4",
        "file-../../../etc/passwd",
        "/etc/passwd",
        "file-" + "a" * 31,
        "file-" + "a" * 33,
        "file-" + "A" * 32,
        "file-" + "a" * 32 + "\n",
        "file-" + "\u0661" * 32,
        ".file-" + "a" * 32,
    ],
)
def test_other_ids_are_not_found(store: UploadStore, upload_settings: SourceSettings, file_id: str) -> None:
    for use in (store.get, store.delete, store.location):
        with pytest.raises(SourceNotFound, match="no upload with this id"):
            use(file_id)
    with pytest.raises(SourceNotFound), VideoLibrary(upload_settings).open(StoredVideo(file_id)):
        pass


def test_file_name_has_a_limit(store: UploadStore) -> None:
    assert store.save([b"video"], file_name="\u2600" * 85).file_name == "\u2600" * 85
    with pytest.raises(InvalidRequest, match="258 bytes and at most 255"):
        store.save([b"video"], file_name="\u2600" * 86)
