"""Retry a failing origin: attempts, pauses, and a budget that all transfers share. Over real sockets."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler

import pytest

from pipeline.config import SourceSettings
from pipeline.errors import SourceUnavailable
from pipeline.sources import VideoLibrary
from pipeline.sources.remote.retries import MAX_ATTEMPTS, RetryBudgets, retry_after_seconds
from pipeline.types import HttpUrl, HttpVideo, S3Video, VideoSource
from tests.pipeline.sources.contents import content_of
from tests.pipeline.sources.origins import HttpSite, Page, in_turn, sized
from tests.timing import keeps_within, seconds_of

VIDEO = b"video"
RETRIES_AT_FIRST = 20
REQUESTS_PER_VIDEO = 2
"""For its version, and for its bytes."""
SPENT = "its retry budget is spent"

Source = Callable[[str], VideoSource]
"""From the name of an object to where it is had from."""


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.sources.remote.retries._FIRST_PAUSE_SECONDS", 0.01)


@pytest.fixture
def library(s3_settings: SourceSettings, site: HttpSite) -> VideoLibrary:
    """For both protocols; S3's store is the site, too."""
    return VideoLibrary(s3_settings.model_copy(update={"s3_endpoint_url": site.url}))


@pytest.fixture(params=["http", "s3"])
def source(request: pytest.FixtureRequest, site: HttpSite) -> Source:
    if request.param == "http":
        return lambda name: HttpVideo(HttpUrl.parse(f"{site.url}/videos/{name}"))
    return lambda name: S3Video("videos", name)


def answered(content: bytes = VIDEO) -> Page:
    return sized(content, ETag='"v1"')


def refused(status: int = 503, **headers: str) -> Page:
    return sized(b"", status, **headers)


def had(library: VideoLibrary, source: VideoSource) -> bytes:
    with library.open(source) as copy:
        return content_of(copy)


def refusal(library: VideoLibrary, source: VideoSource) -> str:
    with pytest.raises(SourceUnavailable) as caught:
        had(library, source)
    return caught.value.message


@pytest.mark.parametrize("failures", range(MAX_ATTEMPTS))
def test_as_many_failures_as_there_are_further_attempts(
    library: VideoLibrary, site: HttpSite, source: Source, failures: int
) -> None:
    site.pages["/videos/a"] = in_turn(*[refused()] * failures, answered(), *[refused()] * failures, answered())
    assert had(library, source("a")) == VIDEO
    assert len(site.requests) == REQUESTS_PER_VIDEO * (1 + failures)


def test_an_origin_that_is_down_is_not_hammered(library: VideoLibrary, site: HttpSite, source: Source) -> None:
    videos = [source(f"{number}") for number in range(40)]
    site.pages = {f"/videos/{number}": refused() for number in range(len(videos))}
    with ThreadPoolExecutor(8) as pool:
        messages = list(pool.map(lambda video: refusal(library, video), videos))
    assert len(site.requests) == len(videos) + RETRIES_AT_FIRST
    ended_early = [message for message in messages if SPENT in message]
    assert len(ended_early) >= len(videos) - RETRIES_AT_FIRST
    assert all(f"{MAX_ATTEMPTS} times in a row" in message for message in messages if message not in ended_early)
    assert keeps_within(0.5, lambda: seconds_of(lambda: refusal(library, source("0"))))
    message = refusal(library, source("0"))
    assert "503" in message and SPENT in message and "Try again later" in message


def test_nobody_listens(library: VideoLibrary, settings: SourceSettings) -> None:
    messages = [
        refusal(library, HttpVideo(HttpUrl.parse(f"http://127.0.0.1:9/{number}"))) for number in range(RETRIES_AT_FIRST)
    ]
    assert "could not be connected to, 3 times in a row" in messages[0]
    assert "could not be connected to. Its host has failed so often recently" in messages[-1]
    assert SPENT in messages[-1]


def test_another_host_has_a_budget_of_its_own(library: VideoLibrary, site: HttpSite) -> None:
    down = [HttpVideo(HttpUrl.parse(f"{site.url}/videos/{number}")) for number in range(RETRIES_AT_FIRST)]
    for number in range(RETRIES_AT_FIRST):
        site.pages[f"/videos/{number}"] = refused()
    assert SPENT in [refusal(library, video) for video in down][-1]
    other = HttpSite()
    try:
        other.pages["/v"] = in_turn(refused(), answered(), answered())
        assert had(library, HttpVideo(HttpUrl.parse(f"{other.url}/v"))) == VIDEO
    finally:
        other.close()


def test_an_origin_that_recovers_gets_its_retries_back(library: VideoLibrary, site: HttpSite, source: Source) -> None:
    site.pages["/videos/down"] = refused()
    assert SPENT in [refusal(library, source("down")) for _ in range(RETRIES_AT_FIRST)][-1]
    site.pages["/videos/up"] = answered()
    for _ in range(5):
        had(library, source("up"))
    site.pages["/videos/shaky"] = in_turn(refused(), answered(), answered())
    assert had(library, source("shaky")) == VIDEO


def test_an_origin_that_fails_at_every_tenth_request(library: VideoLibrary, site: HttpSite, source: Source) -> None:
    """All videos are had, for a ninth more requests."""
    count = iter(range(10**6))

    def shaky(handler: BaseHTTPRequestHandler) -> None:
        (refused() if next(count) % 10 == 9 else answered())(handler)

    for number in range(200):
        site.pages[f"/videos/{number}"] = shaky
        assert had(library, source(f"{number}")) == VIDEO
    assert len(site.requests) <= 1.12 * REQUESTS_PER_VIDEO * 200


# --- Retry-After ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("as_date", [False, True])
def test_a_pause_that_is_asked_for(
    library: VideoLibrary, site: HttpSite, source: Source, status: int, as_date: bool
) -> None:
    def seconds_of_the_pause() -> float:
        times: list[float] = []

        def page(handler: BaseHTTPRequestHandler) -> None:
            times.append(time.monotonic())
            date = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)  # whole: 1 to 2 from now
            first = refused(status, Retry_After=date if as_date else "1")
            (first if len(times) == 1 else answered())(handler)

        site.pages["/videos/a"] = page
        assert had(library, source("a")) == VIDEO
        pause_seconds = times[1] - times[0]
        assert pause_seconds > 0.95
        return pause_seconds

    assert keeps_within(2.5, seconds_of_the_pause)


def test_a_pause_longer_than_there_is_time(library: VideoLibrary, site: HttpSite, source: Source) -> None:
    site.pages["/videos/a"] = refused(429, Retry_After="11")
    message = refusal(library, source("a"))
    assert "429, and asks for a pause of 11 seconds, of which 10 are left" in message
    assert len(site.requests) == 1
    assert keeps_within(0.5, lambda: seconds_of(lambda: refusal(library, source("a"))))


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 0),
        ("7", 7),
        ("-1", 0),
        ("soon", 0),
        ("1.5", 0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
        ("Wed, 21 Oct 99999 07:28:00 GMT", 0),
        ("Wed, 21 Oct 2015 07:28:00 +99999999999999999999", 0),
        ("²", 0),
    ],
)
def test_headers(header: str, seconds: float) -> None:
    assert retry_after_seconds(header) == seconds


def test_a_date_header() -> None:
    date = datetime.now(UTC) + timedelta(seconds=100)
    assert retry_after_seconds(format_datetime(date)) == pytest.approx(99.5, abs=1)
    assert retry_after_seconds(date.strftime("%a, %d %b %Y %H:%M:%S -0000")) == pytest.approx(99.5, abs=1)


def test_the_hosts_asked_last_keep_their_budgets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.sources.remote.retries._MOST_HOSTS", 2)
    budgets = RetryBudgets()
    first, second = budgets.of("a:80"), budgets.of("b:80")
    assert budgets.of("a:80") is first
    budgets.of("c:80")
    assert budgets.of("a:80") is first
    assert budgets.of("b:80") is not second
