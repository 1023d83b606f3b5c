"""Share one cache among threads and processes: locks, eviction, and recovery from crashes."""

import fcntl
import multiprocessing
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import BinaryIO

import pytest

from pipeline.config import SourceSettings
from pipeline.errors import ServiceError, SourceUnavailable
from pipeline.sources import VideoLibrary
from pipeline.sources.copies import fingerprint_of
from pipeline.sources.remote.node_cache import HeldFile, NodeCache
from pipeline.sources.remote.retries import Deadline
from pipeline.types import HttpUrl, HttpVideo
from tests.pipeline.sources.contents import content_of
from tests.pipeline.sources.origins import HttpSite, page

KEYS = [fingerprint_of(letter) for letter in "abcdef"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def writes(content: bytes) -> Callable[[BinaryIO], None]:
    def fill(file: BinaryIO) -> None:
        file.write(content)

    return fill


def fetch(cache: NodeCache, key: str, fill: Callable[[BinaryIO], None], *, seconds: float = 5) -> bytes:
    with cache.fetch(key, fill, size_bytes=None, name="the video", deadline=Deadline(seconds)) as held:
        return held.path.read_bytes()


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_second_fetch_does_not_fill(folder: Path) -> None:
    cache = NodeCache(folder, 1000)
    assert fetch(cache, KEYS[0], writes(b"first")) == b"first"
    assert fetch(cache, KEYS[0], writes(b"second")) == b"first"


def test_find_before_and_after(folder: Path) -> None:
    cache = NodeCache(folder, 1000)
    assert cache.find(KEYS[0]) is None
    fetch(cache, KEYS[0], writes(b"video"))
    held = cache.find(KEYS[0])
    assert held is not None
    with held:
        assert held.size_bytes == 5


def test_failed_fill_leaves_nothing(folder: Path) -> None:
    def fail(file: BinaryIO) -> None:
        file.write(b"half")
        raise SourceUnavailable("broke off")

    with pytest.raises(SourceUnavailable):
        fetch(NodeCache(folder, 1000), KEYS[0], fail)
    assert names(folder) == set()


def test_full_disk(folder: Path) -> None:
    def fail(file: BinaryIO) -> None:
        with open("/dev/full", "wb", buffering=0) as full:
            full.write(b"x")

    with pytest.raises(ServiceError, match="the video: No space left on device") as caught:
        fetch(NodeCache(folder, 1000), KEYS[0], fail)
    assert str(folder) not in caught.value.message
    assert names(folder) == set()


def test_opened_longest_ago_goes_first(folder: Path) -> None:
    cache = NodeCache(folder, 250)
    for key in KEYS[:2]:
        fetch(cache, key, writes(b"x" * 100))
        time.sleep(0.01)  # mtime is the order
    fetch(cache, KEYS[0], writes(b""))
    time.sleep(0.01)
    fetch(cache, KEYS[2], writes(b"x" * 100))
    assert names(folder) == {KEYS[0], KEYS[2]}


def test_room_is_made_before_the_copy(folder: Path) -> None:
    cache = NodeCache(folder, 250)
    fetch(cache, KEYS[0], writes(b"x" * 200))
    seen: set[str] = set()

    def fill(file: BinaryIO) -> None:
        seen.update(names(folder))
        file.write(b"x" * 100)

    cache.fetch(KEYS[1], fill, size_bytes=100, name="v", deadline=Deadline(5)).file.close()
    assert KEYS[0] not in seen


def test_open_copies_stay(folder: Path) -> None:
    cache = NodeCache(folder, 150)
    with cache.fetch(KEYS[0], writes(b"x" * 100), size_bytes=100, name="v", deadline=Deadline(5)) as held:
        fetch(cache, KEYS[1], writes(b"x" * 100))
        fetch(cache, KEYS[2], writes(b"x" * 100))
        assert held.path.read_bytes() == b"x" * 100
    fetch(cache, KEYS[3], writes(b"x" * 100))
    assert names(folder) == {KEYS[3]}


def test_copy_larger_than_the_cache_can_be_used(folder: Path) -> None:
    assert fetch(NodeCache(folder, 10), KEYS[0], writes(b"x" * 100)) == b"x" * 100


def test_files_of_others_are_left_alone(folder: Path) -> None:
    folder.mkdir()
    (folder / "holiday.mp4").write_bytes(b"x" * 1000)
    (folder / "holiday.mp4.partial").write_bytes(b"x")
    fetch(NodeCache(folder, 10), KEYS[0], writes(b"x" * 100))
    assert {"holiday.mp4", "holiday.mp4.partial"} <= names(folder)


def test_leftovers_of_a_dead_process(folder: Path) -> None:
    folder.mkdir()
    for key in KEYS[:2]:
        (folder / f"{key}.partial").write_bytes(b"half, and longer than the whole")
    assert fetch(NodeCache(folder, 1000), KEYS[0], writes(b"whole")) == b"whole"
    assert names(folder) == {KEYS[0]}


def test_waiting_ends_at_the_deadline(folder: Path) -> None:
    cache = NodeCache(folder, 1000)
    started, release = threading.Event(), threading.Event()

    def slow(file: BinaryIO) -> None:
        started.set()
        release.wait(5)
        file.write(b"video")

    thread = threading.Thread(target=fetch, args=(cache, KEYS[0], slow))
    thread.start()
    started.wait(5)
    with pytest.raises(SourceUnavailable, match=r"the video did not arrive within 0\.2 seconds"):
        fetch(cache, KEYS[0], writes(b"other"), seconds=0.2)
    release.set()
    thread.join()
    assert fetch(cache, KEYS[0], writes(b"other")) == b"video"


def test_threads_under_pressure(folder: Path) -> None:
    """Eight threads on six copies, of which two fit: what is open is always whole."""
    cache = NodeCache(folder, 2 * 1000)
    contents = {key: os.urandom(1000) for key in KEYS}
    wrong: list[str] = []

    def work(offset: int) -> None:
        for turn in range(60):
            key = KEYS[(turn * 5 + offset) % len(KEYS)]
            if fetch(cache, key, writes(contents[key])) != contents[key]:
                wrong.append(key)

    threads = [threading.Thread(target=work, args=(offset,)) for offset in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert not [name for name in names(folder) if name.endswith(".partial")]


def test_copy_that_is_evicted_while_it_is_opened(folder: Path) -> None:
    cache = NodeCache(folder, 1000)
    fetch(cache, KEYS[0], writes(b"video"))
    with (folder / KEYS[0]).open("rb") as evictor, ThreadPoolExecutor(1) as thread:
        fcntl.flock(evictor, fcntl.LOCK_EX)
        found = thread.submit(cache.find, KEYS[0])
        time.sleep(0.1)
        assert not found.done()
        (folder / KEYS[0]).unlink()
        fcntl.flock(evictor, fcntl.LOCK_UN)
        assert found.result(timeout=5) is None


def test_copy_that_is_finished_after_it_was_looked_for(folder: Path) -> None:
    class LateCache(NodeCache):
        finds = 0

        def find(self, key: str) -> HeldFile | None:
            self.finds += 1
            return super().find(key) if self.finds > 1 else None

    fetch(NodeCache(folder, 1000), KEYS[0], writes(b"video"))
    assert fetch(LateCache(folder, 1000), KEYS[0], writes(b"again")) == b"video"
    assert names(folder) == {KEYS[0]}


SLOW_VIDEO = random.Random(0).randbytes(4 * 1024**2)  # the same one in every process


def slow_page(handler: BaseHTTPRequestHandler) -> None:
    page(b"", ETag='"v"', Content_Length=str(len(SLOW_VIDEO)))(handler)
    for start in range(0, len(SLOW_VIDEO), 1024**2):
        time.sleep(0.1)
        handler.wfile.write(SLOW_VIDEO[start : start + 1024**2])
    handler.server.whole_bodies["sent"] += 1  # type: ignore[attr-defined]


def open_in_child(settings: SourceSettings, url: str, results: "multiprocessing.Queue[str]") -> None:
    with VideoLibrary(settings).open(HttpVideo(HttpUrl.parse(url))) as copy:
        assert content_of(copy) == SLOW_VIDEO
        results.put(copy.fingerprint)


def test_processes_download_once(settings: SourceSettings, site: HttpSite) -> None:
    whole_bodies: Counter[str] = Counter()
    site._server.whole_bodies = whole_bodies  # type: ignore[attr-defined]
    site.pages["/v"] = slow_page
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    children = [spawn.Process(target=open_in_child, args=(settings, site.url + "/v", results)) for _ in range(3)]
    for child in children:
        child.start()
    fingerprints = {results.get(timeout=20) for _ in children}
    for child in children:
        child.join()
    assert [child.exitcode for child in children] == [0, 0, 0]
    assert len(fingerprints) == 1
    assert whole_bodies["sent"] == 1


def test_killed_download_does_not_block_the_next(settings: SourceSettings, site: HttpSite) -> None:
    site._server.whole_bodies = Counter()  # type: ignore[attr-defined]
    site.pages["/v"] = slow_page
    spawn = multiprocessing.get_context("spawn")
    results = spawn.Queue()
    child = spawn.Process(target=open_in_child, args=(settings, site.url + "/v", results))
    child.start()
    while child.is_alive() and not list(settings.cache_dir.glob("*.partial")):
        time.sleep(0.01)
    child.kill()
    child.join()
    assert list(settings.cache_dir.glob("*.partial"))
    with VideoLibrary(settings).open(HttpVideo(HttpUrl.parse(site.url + "/v"))) as copy:
        assert content_of(copy) == SLOW_VIDEO
    assert len(names(settings.cache_dir)) == 1
