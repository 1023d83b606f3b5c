"""Copy a remote object, and resume or restart broken transfers."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pipeline.errors import SourceChanged, SourceTooLarge, SourceUnavailable, UnreadableVideo
from pipeline.sources.remote.retries import Deadline, RetryBudget, TransientFailure
from pipeline.sources.remote.transfers import Body, RemoteVersion, copy_body

CONTENT = b"0123456789"


class FakeOrigin:
    """Sends `CONTENT` byte by byte, and breaks off after `breaks_after` bytes of each body."""

    name = "the video"
    location = "fake://video"

    def __init__(
        self,
        *,
        breaks_after: int = 99,
        resumes: bool = True,
        pause_seconds: float = 0,
        content: bytes = CONTENT,
    ) -> None:
        self.retry_budget = RetryBudget()
        self.offsets: list[int] = []
        self._breaks_after = breaks_after
        self._resumes = resumes
        self._pause_seconds = pause_seconds
        self._content = content

    def version(self, deadline: Deadline) -> RemoteVersion:
        return RemoteVersion("v1", len(CONTENT))

    @contextmanager
    def body(self, version: RemoteVersion, offset: int, deadline: Deadline) -> Iterator[Body]:
        self.offsets.append(offset)
        start = offset if self._resumes else 0
        yield Body(start, self._blocks(start))

    def _blocks(self, start: int) -> Iterator[bytes]:
        for index in range(start, len(self._content)):
            if index - start == self._breaks_after:
                raise TransientFailure("broke off")
            time.sleep(self._pause_seconds)
            yield self._content[index : index + 1]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.sources.remote.retries._FIRST_PAUSE_SECONDS", 0.01)


def copied(origin: FakeOrigin, *, max_bytes: int = 100, seconds: float = 5) -> bytes:
    file = io.BytesIO()
    deadline = Deadline(seconds)
    copy_body(origin, origin.version(deadline), file, max_bytes, deadline)
    return file.getvalue()


def test_whole_body() -> None:
    origin = FakeOrigin()
    assert copied(origin, max_bytes=len(CONTENT)) == CONTENT
    assert origin.offsets == [0]


def test_three_attempts_that_go_on() -> None:
    origin = FakeOrigin(breaks_after=4)
    assert copied(origin) == CONTENT
    assert origin.offsets == [0, 4, 8]


def test_attempts_that_start_again() -> None:
    origin = FakeOrigin(breaks_after=4, resumes=False)
    with pytest.raises(SourceUnavailable, match="the video broke off, 3 times in a row"):
        copied(origin)
    assert origin.offsets == [0, 4, 4]


def test_slow_body_ends_at_the_deadline() -> None:
    start = time.monotonic()
    with pytest.raises(SourceUnavailable, match=r"the video did not arrive within 0\.1 seconds"):
        copied(FakeOrigin(pause_seconds=0.05), seconds=0.1)
    assert time.monotonic() - start < 0.4


def test_no_attempt_after_the_deadline() -> None:
    origin = FakeOrigin(breaks_after=1, pause_seconds=0.06)
    with pytest.raises(SourceUnavailable, match="did not arrive"):
        copied(origin, seconds=0.05)
    assert origin.offsets == [0]


def test_one_byte_too_many() -> None:
    with pytest.raises(SourceTooLarge, match="the video has more than the 9 bytes"):
        copied(FakeOrigin(), max_bytes=9)


def test_other_size_than_promised() -> None:
    with pytest.raises(SourceChanged, match="the video changed while"):
        copied(FakeOrigin(content=b"short"))


def test_nothing() -> None:
    with pytest.raises(UnreadableVideo, match="the video is empty"):
        copied(FakeOrigin(content=b""))
