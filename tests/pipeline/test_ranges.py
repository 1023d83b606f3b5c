"""A remote video is probed and its chunks are decoded from few of its bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pipeline.config import DecodingSettings, VideoLimits
from pipeline.decoding.chunk_decoder import ChunkDecoder
from pipeline.decoding.isolated_backends import IsolatedBackends, decoding_process
from pipeline.errors import SourceUnavailable
from pipeline.isolation.process import IsolatedProcess
from pipeline.video.containers import WithoutMediaData
from pipeline.video.isolated_probing import IsolatedProbe
from pipeline.video.probing import ProbedVideo, probe
from pipeline.video.video_files import BLOCK_BYTES, BlockFile, missing_range, num_blocks
from tests.clips import CLIPS, ClipFolder, ffmpeg, real_clip
from tests.pipeline.decoding.test_decoding import ORDER, decoded, planned


class FakeOrigin:
    """Puts the blocks of a file into another one, as `RemoteBlocks` does of a remote one."""

    def __init__(self, source: Path, target: Path) -> None:
        self._content = source.read_bytes()
        self._target = target.open("w+b", buffering=0)
        self._target.truncate(len(self._content) + num_blocks(len(self._content)))
        self.blocks = BlockFile(target, len(self._content))
        self.num_bytes = 0

    def fetch(self, wanted: tuple[int, int]) -> None:
        while missing := missing_range(self._target.fileno(), len(self._content), *wanted):
            start = missing[0]
            block = self._content[start : start + BLOCK_BYTES]
            self._target.seek(start)
            self._target.write(block)
            self._target.seek(len(self._content) + start // BLOCK_BYTES)
            self._target.write(b"\x01")
            self.num_bytes += len(block)

    @property
    def share(self) -> float:
        return self.num_bytes / len(self._content)


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


def probe_apart(isolated: IsolatedProbe, origin: FakeOrigin, fetch: Callable[[tuple[int, int]], None]) -> ProbedVideo:
    size_bytes = origin.blocks.size_bytes
    return isolated(origin.blocks, size_bytes=size_bytes, fingerprint="bytes", limits=VideoLimits(), fetch=fetch)


@pytest.mark.parametrize("name", CLIPS)
def test_tables_say_what_the_packets_do(name: str, clips: ClipFolder) -> None:
    whole, skimmed = (
        probe(clips.path(name), fingerprint="bytes", limits=VideoLimits(), skims=skims) for skims in (False, True)
    )
    assert skimmed.info == whole.info
    assert (skimmed.pts_seconds == whole.pts_seconds).all()
    assert (skimmed.packet_index is None) == (whole.packet_index is None)
    if skimmed.packet_index and whole.packet_index:
        assert (skimmed.packet_index.pts_ticks == whole.packet_index.pts_ticks).all()
        assert (skimmed.packet_index.key_places == whole.packet_index.key_places).all()
        assert (skimmed.packet_index.key_seek_ticks == whole.packet_index.key_seek_ticks).all()


def test_media_data_is_zeros_and_nothing_else_is(clips: ClipFolder) -> None:
    content = clips.path("h264").read_bytes()
    skimmed = WithoutMediaData(io.BytesIO(content))
    seen = b"".join(iter(partial(skimmed.read, 1000), b""))
    start = content.index(b"mdat") + 4
    stop = content.index(b"moov") - 4
    assert seen == content[:start] + bytes(stop - start) + content[stop:]
    assert skimmed.seek(start - 2) == start - 2
    assert skimmed.read(4) == content[start - 2 : start]  # a read ends where the pictures begin
    assert skimmed.read(4) == bytes(4)


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


def test_an_origin_that_is_gone_is_the_error(clips: ClipFolder, isolated: IsolatedProbe, tmp_path: Path) -> None:
    origin = FakeOrigin(clips.path("h264"), tmp_path / "blocks")

    def gone(wanted: tuple[int, int]) -> None:
        raise SourceUnavailable("The origin is gone.")

    with pytest.raises(SourceUnavailable, match="The origin is gone"):
        probe_apart(isolated, origin, gone)
    assert probe_apart(isolated, origin, origin.fetch).info.total_frames == 100
