"""Download objects from S3, and translate the errors of the store."""

import io
import os
import pickle
from pathlib import Path

import pytest
from botocore.exceptions import ReadTimeoutError
from botocore.response import StreamingBody
from mypy_boto3_s3 import S3Client

from pipeline.config import SourceSettings
from pipeline.errors import (
    InvalidRequest,
    LongtakeError,
    SourceChanged,
    SourceForbidden,
    SourceNotFound,
    SourceTooLarge,
    SourceUnavailable,
    UnreadableVideo,
)
from pipeline.sources import VideoLibrary
from pipeline.sources.remote.retries import Deadline, RetryBudgets
from pipeline.sources.remote.s3_objects import S3Origin
from pipeline.sources.remote.transfers import copy_body
from pipeline.types import S3Video
from pipeline.video.video_files import BlockFile
from tests.pipeline.sources.contents import content_of
from tests.pipeline.sources.origins import HttpSite, sized

VIDEO = os.urandom(3 * 1024**2)


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.sources.remote.retries._FIRST_PAUSE_SECONDS", 0.01)


@pytest.fixture
def library(s3_settings: SourceSettings) -> VideoLibrary:
    return VideoLibrary(s3_settings)


def refusal(library: VideoLibrary, video: S3Video, expected: str | None = None) -> LongtakeError:
    with pytest.raises(LongtakeError) as caught, library.open(video, expected):
        pass
    return caught.value


def test_object_is_copied_and_recognised(library: VideoLibrary, s3_settings: SourceSettings, s3: S3Client) -> None:
    s3.put_object(Bucket="videos", Key="a/b c.mp4", Body=VIDEO)
    with library.open(S3Video("videos", "a/b c.mp4")) as copy:
        assert content_of(copy) == VIDEO
        assert copy.size_bytes == len(VIDEO)
        fingerprint = copy.fingerprint
    other_node = VideoLibrary(s3_settings.model_copy(update={"cache_dir": s3_settings.cache_dir / "other"}))
    with other_node.open(S3Video("videos", "a/b c.mp4"), fingerprint) as copy:
        assert copy.fingerprint == fingerprint


def test_expected_copy_is_used_without_the_store(library: VideoLibrary, s3: S3Client) -> None:
    s3.put_object(Bucket="videos", Key="a", Body=VIDEO)
    with library.open(S3Video("videos", "a")) as copy:
        fingerprint = copy.fingerprint
        assert content_of(copy) == VIDEO
    s3.delete_object(Bucket="videos", Key="a")
    with library.open(S3Video("videos", "a"), fingerprint) as copy:
        assert content_of(copy) == VIDEO
    assert type(refusal(library, S3Video("videos", "a"))) is SourceNotFound


def test_changed_object(library: VideoLibrary, s3_settings: SourceSettings, s3: S3Client) -> None:
    s3.put_object(Bucket="videos", Key="a", Body=VIDEO)
    with library.open(S3Video("videos", "a")) as copy:
        fingerprint = copy.fingerprint
        assert isinstance(copy.file, BlockFile)
        copy.file.path.unlink()
    s3.put_object(Bucket="videos", Key="a", Body=b"other")
    assert type(refusal(library, S3Video("videos", "a"), fingerprint)) is SourceChanged


def test_change_between_version_and_body(s3_settings: SourceSettings, s3: S3Client) -> None:
    s3.put_object(Bucket="videos", Key="a", Body=VIDEO)
    origin = S3Origin(s3, S3Video("videos", "a"), RetryBudgets(), name="s3://videos/a")
    version = origin.version(Deadline(5))
    s3.put_object(Bucket="videos", Key="a", Body=VIDEO[::-1])  # of the same size
    with pytest.raises(SourceChanged):
        copy_body(origin, version, io.BytesIO(), 10**9, Deadline(5))


def test_broken_body_goes_on(s3: S3Client, monkeypatch: pytest.MonkeyPatch) -> None:
    read = StreamingBody.read
    reads = []

    def breaking(self: StreamingBody, amt: int | None = None) -> bytes:
        reads.append(amt)
        if len(reads) == 2:
            raise ReadTimeoutError(endpoint_url="http://store")
        return read(self, amt)

    monkeypatch.setattr(StreamingBody, "read", breaking)
    s3.put_object(Bucket="videos", Key="a", Body=VIDEO)
    origin = S3Origin(s3, S3Video("videos", "a"), RetryBudgets(), name="s3://videos/a")
    file = io.BytesIO()
    copy_body(origin, origin.version(Deadline(5)), file, 10**9, Deadline(5))
    assert file.getvalue() == VIDEO


@pytest.mark.parametrize(
    ("video", "error"),
    [
        (S3Video("videos", "missing"), SourceNotFound),
        (S3Video("no-such-bucket", "a"), SourceNotFound),
        (S3Video("videos", "empty"), UnreadableVideo),
        (S3Video("videos", ""), InvalidRequest),
    ],
)
def test_refused_objects(
    library: VideoLibrary,
    s3: S3Client,
    video: S3Video,
    error: type[LongtakeError],
    s3_settings: SourceSettings,
) -> None:
    s3.put_object(Bucket="videos", Key="empty", Body=b"")
    refused = refusal(library, video)
    assert type(refused) is error
    assert refused.param == "video_url"
    assert not list(s3_settings.cache_dir.glob("*"))


def test_oversize(s3_settings: SourceSettings, s3: S3Client) -> None:
    s3.put_object(Bucket="videos", Key="a", Body=VIDEO)
    small = VideoLibrary(s3_settings.model_copy(update={"max_video_bytes": 1000}))
    assert type(refusal(small, S3Video("videos", "a"))) is SourceTooLarge


def test_pasted_signature_is_not_shown(library: VideoLibrary, s3: S3Client) -> None:
    refused = refusal(library, S3Video("videos", "a?X-Amz-Signature=canary"))
    assert "canary" not in refused.message
    again = pickle.loads(pickle.dumps(refused))
    assert (type(again), again.message) == (SourceNotFound, refused.message)


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, SourceForbidden), (403, SourceForbidden), (400, SourceUnavailable), (503, SourceUnavailable)],
)
def test_store_that_refuses(
    s3_settings: SourceSettings, site: HttpSite, status: int, error: type[LongtakeError]
) -> None:
    site.pages["/videos/a"] = sized(b"", status)
    refusing = s3_settings.model_copy(update={"s3_endpoint_url": site.url})
    refused = refusal(VideoLibrary(refusing), S3Video("videos", "a"))
    assert type(refused) is error
    assert site.url not in refused.message


def test_no_credentials(
    settings: SourceSettings, moto_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    bare = settings.model_copy(update={"s3_endpoint_url": moto_url, "s3_region": "us-east-1"})
    refused = refusal(VideoLibrary(bare), S3Video("videos", "a"))
    assert type(refused) is SourceForbidden
    assert "AWS_ACCESS_KEY_ID" in refused.message


def test_store_that_is_away(s3_settings: SourceSettings) -> None:
    away = s3_settings.model_copy(update={"s3_endpoint_url": "http://127.0.0.1:9"})
    refused = refusal(VideoLibrary(away), S3Video("videos", "a"))
    assert type(refused) is SourceUnavailable
    assert "127.0.0.1" not in refused.message
    assert "canary" not in refused.message
