"""Decoding by plan: only the packets that the plan names, and nothing that is not as it says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.decoding.planned_decoder import PlannedDecoder
from pipeline.errors import DecodeFailed
from pipeline.types import Chunk
from tests.clips import BrokenFiles, ClipFolder, number_of
from tests.pipeline.decoding.chunks import SMALL, planned

SPARSE = replace(SMALL, fps=0.5, min_frames=2)


def frames_of(path: Path, chunk: Chunk) -> dict[int, NDArray[np.uint8]]:
    with closing(PlannedDecoder(path)) as decoder:
        return dict(decoder.frames(chunk))


@pytest.mark.parametrize("name", ["h264", "mkv", "hevc", "vp9", "av1", "open_gop", "late_mkv", "vfr"])
def test_frames_come_with_their_places_at_the_videos_size(name: str, clips: ClipFolder) -> None:
    for chunk in planned(clips.path(name)).chunks:
        frames = frames_of(clips.path(name), chunk)
        assert sorted(frames) == list(range(chunk.num_frames))
        assert [number_of(frames[place]) for place in sorted(frames)] == chunk.frame_indices.tolist()
        assert frames[0].shape == (128, 192, 3)


def test_pictures_that_nobody_needs_are_not_decoded(clips: ClipFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two frames of four seconds need a fraction of the hundred packets."""
    fed = []

    class CountingCodec:
        def __init__(self, codec: Any) -> None:
            self._codec = codec

        def decode(self, packet: av.Packet[Any] | None) -> Iterator[av.VideoFrame]:
            fed.append(packet)
            yield from self._codec.decode(packet)

        def flush_buffers(self) -> None:
            self._codec.flush_buffers()

    (chunk,) = planned(clips.path("h264"), seconds=10.0, sampling=SPARSE).chunks
    with closing(PlannedDecoder(clips.path("h264"))) as decoder:
        monkeypatch.setattr(decoder, "_codec", CountingCodec(decoder._codec))
        frames = dict(decoder.frames(chunk))
    assert len(frames) == chunk.num_frames
    assert len([packet for packet in fed if packet is not None]) < 70


def test_an_open_decoder_takes_chunks_in_any_order(clips: ClipFolder) -> None:
    chunks = planned(clips.path("h264")).chunks
    with closing(PlannedDecoder(clips.path("h264"))) as decoder:
        for chunk in (*reversed(chunks), *chunks):
            numbers = {place: number_of(frame) for place, frame in decoder.frames(chunk)}
            assert [numbers[place] for place in sorted(numbers)] == chunk.frame_indices.tolist()


def test_a_chunk_without_runs_is_refused(clips: ClipFolder) -> None:
    chunk = replace(planned(clips.path("h264")).chunks[0], packet_runs=())
    with pytest.raises(DecodeFailed, match="allow no plan"):
        frames_of(clips.path("h264"), chunk)


@pytest.mark.parametrize("change", [{"last_pts_ticks": 1}, {"num_packets": 10_000}, {"first_pts_ticks": 7}])
def test_packets_other_than_the_planned_ones_end_the_plan(change: dict[str, int], clips: ClipFolder) -> None:
    chunk = planned(clips.path("h264")).chunks[0]
    (run, *rest) = chunk.packet_runs
    with pytest.raises(DecodeFailed, match="are not those of the plan"):
        frames_of(clips.path("h264"), replace(chunk, packet_runs=(replace(run, **change), *rest)))


def test_a_damaged_packet_ends_the_plan(hole: Path) -> None:
    (chunk,) = planned(hole, seconds=10, sampling=replace(SMALL, fps=25)).chunks
    with pytest.raises(DecodeFailed, match="a packet of the plan is damaged"):
        frames_of(hole, chunk)


def test_what_ffmpeg_cannot_open_is_a_failed_decode(broken_files: BrokenFiles) -> None:
    with pytest.raises(DecodeFailed, match="cannot open the video"):
        PlannedDecoder(broken_files.text())
