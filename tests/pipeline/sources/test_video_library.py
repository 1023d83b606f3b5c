"""Open every kind of source, with as few requests to its origin as possible."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.config import SourceSettings
from pipeline.errors import LongtakeError, SourceChanged
from pipeline.sources import VideoLibrary
from pipeline.types import HttpUrl, HttpVideo, LocalVideo, S3Video, StoredVideo, VideoSource
from tests.pipeline.sources.downloads import VIDEO, fetch, refusal
from tests.pipeline.sources.origins import HttpSite, sized


@pytest.fixture
def library(settings: SourceSettings, monkeypatch: pytest.MonkeyPatch) -> VideoLibrary:
    monkeypatch.setattr("pipeline.sources.remote.retries._FIRST_PAUSE_SECONDS", 0.01)
    return VideoLibrary(settings)


def test_expected_copy_is_used_without_the_origin(library: VideoLibrary, site: HttpSite) -> None:
    site.pages["/v"] = sized(VIDEO, ETag='"v1"')
    fingerprint, _ = fetch(library, site.url + "/v?sig=1")
    requests = len(site.requests)
    del site.pages["/v"]
    assert fetch(library, site.url + "/v?sig=1", fingerprint) == (fingerprint, VIDEO)
    assert len(site.requests) == requests


def test_second_open_asks_only_for_the_version(library: VideoLibrary, site: HttpSite) -> None:
    site.pages["/v"] = sized(VIDEO, ETag='"v1"')
    fetch(library, site.url + "/v")
    assert len(site.requests) == 2  # version, body
    fetch(library, site.url + "/v")
    assert len(site.requests) == 3


def test_fingerprint_does_not_lead_to_another_url(library: VideoLibrary, site: HttpSite) -> None:
    site.pages["/a"], site.pages["/b"] = sized(b"aaa", ETag='"v"'), sized(b"bbb", ETag='"v"')
    fingerprint, _ = fetch(library, site.url + "/a")
    assert type(refusal(library, site.url + "/b", fingerprint)) is SourceChanged


@pytest.mark.parametrize(
    ("source", "param"),
    [
        (LocalVideo("missing.mp4"), "video_path"),
        (StoredVideo("file-" + "0" * 32), "file_id"),
        (HttpVideo(HttpUrl("http", "127.0.0.1", 9, "/missing")), "video_url"),
        (S3Video("no-such-bucket", "missing"), "video_url"),
    ],
)
def test_a_failure_names_the_field_of_the_request(
    source: VideoSource, param: str, s3_settings: SourceSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.sources.remote.retries._FIRST_PAUSE_SECONDS", 0)
    with pytest.raises(LongtakeError) as caught, VideoLibrary(s3_settings).open(source):
        pass
    assert caught.value.param == param


def test_what_is_fetched_is_counted_once(settings: SourceSettings, site: HttpSite) -> None:
    site.pages["/v"] = sized(VIDEO, ETag='"v1"')
    counted: list[tuple[str, int]] = []
    library = VideoLibrary(settings, on_fetched=lambda source, num_bytes: counted.append((source, num_bytes)))
    fetch(library, site.url + "/v")
    fetch(library, site.url + "/v")
    assert {source for source, _ in counted} == {"http"}
    assert sum(num_bytes for _, num_bytes in counted) == len(VIDEO)


def test_a_local_file_is_not_copied(settings: SourceSettings) -> None:
    file: Path = settings.media_roots[0] / "a.mp4"
    file.write_bytes(VIDEO)
    with VideoLibrary(settings).open(LocalVideo("a.mp4")) as copy:
        assert copy.file == file
    assert not settings.cache_dir.exists()
