"""A file of blocks reads like a complete file, and few of its bytes are fetched."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import DecodingSettings, VideoLimits
from pipeline.decoding.chunk_decoder import ChunkDecoder
from pipeline.decoding.isolated_backends import IsolatedBackends, decoding_process
from pipeline.isolation.process import IsolatedProcess
from pipeline.video.isolated_probing import IsolatedProbe
from pipeline.video.probing import probe
from pipeline.video.video_files import BLOCK_BYTES, missing_range, num_blocks
from tests.clips import ClipFolder, ffmpeg, real_clip
from tests.pipeline.decoding.chunks import ORDER, decoded, planned
from tests.pipeline.video.origins import FakeOrigin, probe_apart


@pytest.fixture(scope="module")
def isolated() -> Iterator[IsolatedProbe]:
    isolated = IsolatedProbe()
    yield isolated
    isolated.close()


@pytest.fixture(scope="module")
def process() -> Iterator[IsolatedProcess]:
    process = decoding_process()
    yield process
    process.close()


@pytest.fixture(scope="module", params=["index at the end", "index in front"])
def film(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 MB of half an hour."""
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    options = ("-movflags", "+faststart") if request.param == "index in front" else ()
    ffmpeg("-stream_loop", "100", "-i", real_clip("bigbuckbunny.mp4"), "-c", "copy", "-an", *options, path)
    return path


def test_a_chunk_in_the_middle_needs_its_own_bytes(
    film: Path, isolated: IsolatedProbe, process: IsolatedProcess, tmp_path: Path
) -> None:
    origin = FakeOrigin(film, tmp_path / "blocks")
    video = probe_apart(isolated, origin, origin.fetch)
    assert video.info == probe(film, fingerprint="bytes", limits=VideoLimits()).info
    assert origin.share < 0.05
    plan = planned(film, seconds=4.0)
    chunk = plan.chunks[len(plan.chunks) // 2]
    with closing(IsolatedBackends(process, origin.blocks, plan.video, origin.fetch)) as backends:
        result = ChunkDecoder(backends, DecodingSettings().backend_order).decode(chunk)
    assert origin.share < 0.08
    assert result.report.backend == "planned"
    (expected,) = decoded(film, (chunk,))
    assert (result.frames == expected.frames).all()


@pytest.mark.parametrize("name", ["mkv", "ts", "vp9", "mpeg4", "fragmented", "edit_list"])
def test_every_container_can_be_read_so(
    name: str, clips: ClipFolder, isolated: IsolatedProbe, process: IsolatedProcess, tmp_path: Path
) -> None:
    path = clips.path(name)
    origin = FakeOrigin(path, tmp_path / "blocks")
    assert probe_apart(isolated, origin, origin.fetch).info == planned(path).video
    plan = planned(path)
    for chunk, expected in zip(plan.chunks, decoded(path, plan.chunks), strict=True):
        with closing(IsolatedBackends(process, origin.blocks, plan.video, origin.fetch)) as backends:
            result = ChunkDecoder(backends, ORDER).decode(chunk)
        assert np.array_equal(result.frames, expected.frames)


@pytest.fixture
def origin(tmp_path: Path) -> FakeOrigin:
    """Three blocks and a half."""
    source = tmp_path / "source"
    source.write_bytes(np.random.default_rng(0).bytes(3 * BLOCK_BYTES + BLOCK_BYTES // 2))
    return FakeOrigin(source, tmp_path / "blocks")


def test_only_the_blocks_that_are_read_are_fetched(origin: FakeOrigin, tmp_path: Path) -> None:
    content = (tmp_path / "source").read_bytes()
    with origin.blocks.fetching(origin.fetch).open("rb") as file:
        file.seek(BLOCK_BYTES + 10)
        assert file.read(20) == content[BLOCK_BYTES + 10 : BLOCK_BYTES + 30]
        assert origin.num_bytes == BLOCK_BYTES
        file.seek(-5, os.SEEK_END)
        assert file.read() == content[-5:]
        assert origin.num_bytes == BLOCK_BYTES + BLOCK_BYTES // 2
        file.seek(0)
        assert file.read() == content
        assert origin.num_bytes == len(content)  # each block once


def test_reading_behind_the_end_gives_nothing_and_fetches_nothing(origin: FakeOrigin) -> None:
    with origin.blocks.fetching(origin.fetch).open("rb") as file:
        assert file.seek(origin.blocks.size_bytes + 100) == origin.blocks.size_bytes + 100
        assert file.read(10) == b""
        assert file.tell() == origin.blocks.size_bytes + 100
        with pytest.raises(ValueError, match="before the start of the file"):
            file.seek(-1)
    assert origin.num_bytes == 0


def test_the_map_of_blocks_is_no_part_of_the_video(origin: FakeOrigin) -> None:
    with origin.blocks.fetching(origin.fetch).open("rb") as file:
        file.seek(-1, os.SEEK_END)
        assert len(file.read(1000)) == 1


def test_missing_blocks_are_one_range(origin: FakeOrigin) -> None:
    size_bytes = origin.blocks.size_bytes
    with origin.blocks.path.open("rb") as file:
        assert missing_range(file.fileno(), size_bytes, 10, 20) == (0, BLOCK_BYTES)
        origin.fetch((BLOCK_BYTES, BLOCK_BYTES + 1))
        assert missing_range(file.fileno(), size_bytes, BLOCK_BYTES, 2 * BLOCK_BYTES) is None
        assert missing_range(file.fileno(), size_bytes, 0, size_bytes) == (0, size_bytes)
        origin.fetch((0, 1))
        assert missing_range(file.fileno(), size_bytes, 0, size_bytes) == (2 * BLOCK_BYTES, size_bytes)


@pytest.mark.parametrize(
    ("size_bytes", "count"), [(0, 0), (1, 1), (BLOCK_BYTES, 1), (BLOCK_BYTES + 1, 2), (20 * BLOCK_BYTES, 20)]
)
def test_the_last_block_may_be_short(size_bytes: int, count: int) -> None:
    assert num_blocks(size_bytes) == count
