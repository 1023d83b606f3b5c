"""Fetch remote videos by ranges: each block that is read, once, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

import numpy as np
import pytest
from mypy_boto3_s3 import S3Client

from pipeline.config import SourceSettings
from pipeline.errors import SourceChanged, SourceUnavailable
from pipeline.sources import LocalCopy, VideoLibrary
from pipeline.sources.remote.remote_blocks import MOST_READ_AHEAD_BYTES
from pipeline.types import HttpUrl, HttpVideo, S3Video
from pipeline.video.video_files import BLOCK_BYTES, BlockFile
from tests.pipeline.sources.contents import content_of
from tests.pipeline.sources.origins import HttpSite

MB = 1024**2
CONTENT = np.random.default_rng(0).integers(0, 256, 24 * MB + 123, np.uint8).tobytes()


@dataclass
class RangedPage:
    """A page in parts, that breaks or changes where it is told to."""

    content: bytes = CONTENT
    etag: str = '"first"'
    ignores_ranges: bool = False
    breaks_after: list[int] = field(default_factory=list)
    """Of the next answers, how many bytes come before the connection breaks."""
    shortens_to: int | None = None
    """Answers are at most so long, and say so."""
    sent: list[tuple[int, int]] = field(default_factory=list)

    def __call__(self, handler: BaseHTTPRequestHandler) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", handler.headers.get("Range", ""))
        is_current = handler.headers.get("If-Range", self.etag) == self.etag
        start, stop = 0, len(self.content)
        if asked and is_current and not self.ignores_ranges:
            start, stop = int(asked[1]), min(stop, int(asked[2]) + 1)
            stop = min(stop, start + (self.shortens_to or len(self.content)))
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(self.content)}")
        else:
            handler.send_response(200)
        handler.send_header("Content-Length", str(stop - start))
        if self.etag:
            handler.send_header("ETag", self.etag)
        handler.send_header("Accept-Ranges", "bytes")
        handler.end_headers()
        if asked:
            self.sent.append((start, stop))
            if self.breaks_after:
                handler.wfile.write(self.content[start : start + self.breaks_after.pop(0)])
                handler.close_connection = True
                handler.connection.close()
                return
        handler.wfile.write(self.content[start:stop])

    @property
    def sent_bytes(self) -> int:
        return sum(stop - start for start, stop in self.sent)


@pytest.fixture
def page(site: HttpSite) -> RangedPage:
    page = RangedPage()
    site.pages["/film.mp4"] = page
    return page


@pytest.fixture
def library(settings: SourceSettings) -> VideoLibrary:
    return VideoLibrary(settings)


@pytest.fixture
def copy(library: VideoLibrary, site: HttpSite, page: RangedPage) -> Iterator[LocalCopy]:
    with library.open(HttpVideo(HttpUrl.parse(f"{site.url}/film.mp4"))) as copy:
        yield copy


def test_nothing_is_fetched_before_it_is_read(copy: LocalCopy, page: RangedPage) -> None:
    assert isinstance(copy.file, BlockFile)
    assert copy.size_bytes == len(CONTENT)
    assert page.sent == []


def test_what_is_read_is_fetched(copy: LocalCopy, page: RangedPage) -> None:
    with copy.video.open("rb") as file:
        for place in (5 * MB + 17, len(CONTENT) - 40, 0):
            file.seek(place)
            assert file.read(30) == CONTENT[place : place + 30]
    assert page.sent == [(5 * MB, 6 * MB), (24 * MB, len(CONTENT)), (0, MB)]


def test_what_is_fetched_is_told(settings: SourceSettings, site: HttpSite, page: RangedPage) -> None:
    told: list[tuple[str, int]] = []
    library = VideoLibrary(settings, on_fetched=lambda source, num_bytes: told.append((source, num_bytes)))
    with library.open(HttpVideo(HttpUrl.parse(f"{site.url}/film.mp4"))) as copy, copy.video.open("rb") as file:
        file.seek(5 * MB)
        file.read(30)
        assert sum(num_bytes for _, num_bytes in told) == page.sent_bytes == MB
    with library.open(HttpVideo(HttpUrl.parse(f"{site.url}/film.mp4"))) as copy, copy.video.open("rb") as file:
        file.seek(5 * MB)
        file.read(30)
    assert sum(num_bytes for _, num_bytes in told) == MB  # the node had it
    assert {source for source, _ in told} == {"http"}


def test_the_end_is_the_videos_end(copy: LocalCopy) -> None:
    with copy.video.open("rb") as file:
        assert file.seek(0, 2) == len(CONTENT)
        assert file.read() == b""
        file.seek(-5, 2)
        assert file.read(100) == CONTENT[-5:]


def test_reading_in_a_row_fetches_ever_more_at_once(copy: LocalCopy, page: RangedPage) -> None:
    assert content_of(copy) == CONTENT
    sizes = [stop - start for start, stop in page.sent]
    assert sizes[:4] == [MB, 2 * MB, 4 * MB, 8 * MB]
    assert max(sizes) <= MOST_READ_AHEAD_BYTES
    assert page.sent_bytes == len(CONTENT)


def test_what_is_there_is_not_fetched_again(library: VideoLibrary, site: HttpSite, page: RangedPage) -> None:
    video = HttpVideo(HttpUrl.parse(f"{site.url}/film.mp4"))
    with library.open(video) as copy:
        assert content_of(copy) == CONTENT
        fingerprint = copy.fingerprint
    requests = len(site.requests)
    with library.open(video, fingerprint) as copy:
        assert content_of(copy) == CONTENT
    assert len(site.requests) == requests


def test_another_process_of_the_node_has_it_too(settings: SourceSettings, site: HttpSite, page: RangedPage) -> None:
    video = HttpVideo(HttpUrl.parse(f"{site.url}/film.mp4"))
    with VideoLibrary(settings).open(video) as first, VideoLibrary(settings).open(video, first.fingerprint) as second:
        assert content_of(first) == content_of(second) == CONTENT
    assert page.sent_bytes == len(CONTENT)


def test_a_break_costs_no_more_than_a_block(copy: LocalCopy, page: RangedPage) -> None:
    """In the middle of a range: what came before is kept, and not asked for again."""
    with copy.video.open("rb") as file:
        file.read(3 * MB)  # so that the next range is of 4 MiB
        page.sent.clear()
        page.breaks_after = [5 * MB // 2, MB // 2]
        assert file.read(4 * MB) == CONTENT[3 * MB : 7 * MB]
    assert page.sent == [(3 * MB, 7 * MB), (5 * MB, 7 * MB), (5 * MB, 7 * MB)]


def test_a_connection_that_always_breaks(copy: LocalCopy, page: RangedPage) -> None:
    page.breaks_after = [MB // 2] * 100
    with pytest.raises(SourceUnavailable, match="broke the connection or the protocol, 3 times in a row"):
        content_of(copy)
    assert len(page.sent) == 3


def test_an_origin_that_sends_all_instead_of_a_part(copy: LocalCopy, page: RangedPage) -> None:
    page.ignores_ranges = True
    assert content_of(copy) == CONTENT


def test_an_origin_that_never_sends_a_whole_block(copy: LocalCopy, page: RangedPage) -> None:
    page.shortens_to = BLOCK_BYTES // 2
    with pytest.raises(SourceUnavailable, match="sent less than requested, 3 times in a row"):
        content_of(copy)


def test_a_video_that_changes_is_refused(copy: LocalCopy, page: RangedPage) -> None:
    with copy.video.open("rb") as file:
        assert file.read(10) == CONTENT[:10]
        page.etag, page.content = '"second"', CONTENT[::-1]
        file.seek(20 * MB)
        with pytest.raises(SourceChanged):
            file.read(10)


def test_without_a_validator_it_is_copied_whole(library: VideoLibrary, site: HttpSite, page: RangedPage) -> None:
    """Parts of two versions could not be told apart."""
    page.etag = ""
    with library.open(HttpVideo(HttpUrl.parse(f"{site.url}/film.mp4"))) as copy:
        assert not isinstance(copy.file, BlockFile)
        assert content_of(copy) == CONTENT


def test_an_s3_object(s3_settings: SourceSettings, s3: S3Client) -> None:
    s3.put_object(Bucket="videos", Key="film.mp4", Body=CONTENT)
    with VideoLibrary(s3_settings).open(S3Video("videos", "film.mp4")) as copy:
        assert isinstance(copy.file, BlockFile)
        with copy.video.open("rb") as file:
            file.seek(7 * MB)
            assert file.read(10) == CONTENT[7 * MB : 7 * MB + 10]
        assert content_of(copy) == CONTENT
