"""Whether HDR and interlaced videos reach the model as SDR and whole pictures, the right ones at the right times."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.config import VideoLimits
from pipeline.decoding.chunk_decoder import ChunkDecoder
from pipeline.decoding.deinterlacing import TimedPicture, deinterlaced
from pipeline.decoding.isolated_backends import IsolatedBackends, decode_limits, decoding_process
from pipeline.decoding.tone_mapping import tone_mapped
from pipeline.isolation.process import IsolatedProcess
from pipeline.types import Chunk, DecodedFrames, HdrTransfer, PictureTreatment
from pipeline.video.probing import probe
from tests.clips import CLIPS, GRID, TREATED_CLIPS, ClipFolder, number_of, picture
from tests.pipeline.decoding.test_decoding import ORDER, SMALL, decoded, planned, zeroed

HDR = {"pq": HdrTransfer.PQ, **dict.fromkeys(["hlg", "rotated_hlg", "interlaced_hlg"], HdrTransfer.HLG)}
INTERLACED = [name for name in TREATED_CLIPS if name.startswith("interlaced")]
ALL = replace(SMALL, fps=25.0)
UNTREATED = PictureTreatment()


def check_numbers(name: str, chunk: Chunk, result: DecodedFrames) -> None:
    numbers = [number_of(frame, TREATED_CLIPS[name].quarter_turns) for frame in result.frames]
    assert numbers == [TREATED_CLIPS[name].number(index) for index in chunk.frame_indices.tolist()]
    assert result.report.missing_pts_seconds == ()
    assert result.report.untreated == UNTREATED
    assert (result.report.backend, result.report.fallback_reason) == ("pyav", None)


def untreated(chunk: Chunk) -> Chunk:
    return replace(chunk, treatment=UNTREATED)


def colour_error(name: str, chunk: Chunk, result: DecodedFrames) -> float:
    """How far the colours are from those that were drawn."""
    clip = TREATED_CLIPS[name]
    _, height, width, _ = result.frames.shape
    drawn = [picture(clip.number(index), width, height) for index in chunk.frame_indices.tolist()]
    assert not clip.quarter_turns
    return float(np.abs(result.frames.astype(float) - drawn).mean())


def combing(frames: NDArray[np.uint8]) -> float:
    """How much lines differ from both of their neighbours, inside the cells, which are of one colour each."""
    num_frames, height, width, _ = frames.shape
    cells = frames.reshape(num_frames, GRID, height // GRID, width, 3).astype(float)[:, :, 4:-4]
    return float(np.abs(2 * cells[:, :, 1:-1] - cells[:, :, :-2] - cells[:, :, 2:]).mean())


# --- What is found, and told ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TREATED_CLIPS)
def test_what_a_video_needs_is_found_and_told(name: str, clips: ClipFolder) -> None:
    plan = planned(clips.path(name))
    assert plan.video.hdr_transfer == HDR.get(name)
    assert plan.video.is_interlaced == (name in INTERLACED)
    treatment = PictureTreatment(HDR.get(name), is_deinterlaced=name in INTERLACED)
    assert all(chunk.treatment == treatment for chunk in plan.chunks)
    notices = " ".join(plan.notices)
    assert (f"is HDR ({HDR.get(name)}): its frames are tone-mapped to SDR" in notices) == (name in HDR)
    assert ("is interlaced: its frames are deinterlaced" in notices) == (name in INTERLACED)


@pytest.mark.parametrize("name", CLIPS)
def test_progressive_sdr_needs_nothing(name: str, clips: ClipFolder) -> None:
    plan = planned(clips.path(name), sampling=replace(SMALL, fps=0.5), seconds=60.0)
    assert not any(chunk.treatment for chunk in plan.chunks)
    assert plan.notices == ()


def test_it_is_found_without_the_media_data(clips: ClipFolder) -> None:
    """Of a remote MP4 the tables are read, and the first picture."""
    for name in ("interlaced", "hlg"):
        skimmed = probe(clips.path(name), fingerprint="bytes", limits=VideoLimits(), skims=True)
        assert skimmed.info == planned(clips.path(name)).video


# --- The right frames -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TREATED_CLIPS)
def test_chunks_in_any_order_to_the_last_frame(name: str, clips: ClipFolder) -> None:
    path = clips.path(name)
    chunks = planned(path, seconds=0.8, overlap=0.2, sampling=ALL).chunks
    order = [len(chunks) - 1, 1, *range(len(chunks)), 2]
    shuffled = tuple(chunks[place] for place in order)
    for chunk, result in zip(shuffled, decoded(path, shuffled), strict=True):
        check_numbers(name, chunk, result)


@pytest.mark.parametrize("name", TREATED_CLIPS)
def test_a_frame_is_the_same_whatever_chunk_asks_for_it(name: str, clips: ClipFolder) -> None:
    """A deinterlaced one also depends on the one before it, which may be on the other side of a key frame."""
    path = clips.path(name)
    (whole,) = planned(path, seconds=60.0, sampling=ALL).chunks
    (expected,) = decoded(path, (whole,))
    single = tuple(
        replace(whole, frame_indices=whole.frame_indices[[place]], pts_seconds=whole.pts_seconds[[place]])
        for place in (0, 1, 11, 12, 13, 24, 25, 36, 48, len(whole.frame_indices) - 1)
    )
    for chunk, result in zip(single, decoded(path, single), strict=True):
        assert (result.frames[0] == expected.frames[chunk.frame_indices[0]]).all()


@pytest.mark.parametrize(("name", "start"), [("interlaced", 0.4), ("hlg", 0.2)])
def test_frames_that_are_gone_are_listed(name: str, start: float, clips: ClipFolder, tmp_path: Path) -> None:
    hole = zeroed(clips.path(name), tmp_path / "hole.mp4", start, start + 0.1)
    (chunk,) = planned(hole, seconds=60.0, sampling=ALL).chunks
    (result,) = decoded(hole, (chunk,))
    missing = result.report.missing_pts_seconds
    assert missing
    assert sorted([*missing, *result.pts_seconds.tolist()]) == chunk.pts_seconds.tolist()
    assert result.report.backend == "pyav"


def test_pictures_may_change_their_size() -> None:
    """A filter that was made for larger ones would read past their end."""
    sizes = [64, 64, 32, 128, 128, 128]
    pictures = [av.VideoFrame(size, size, "yuv420p") for size in sizes]
    for number, each in enumerate(pictures):
        each.pts, each.time_base = number, Fraction(1)

    def timed() -> Iterator[TimedPicture]:
        return ((float(number), each) for number, each in enumerate(pictures))

    assert [(seconds, each.width) for seconds, each in deinterlaced(timed())] == list(enumerate(sizes))


# --- What they look like ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pq", "hlg"])
def test_hdr_looks_like_the_sdr_that_it_was(name: str, clips: ClipFolder) -> None:
    path = clips.path(name)
    (chunk,) = planned(path, seconds=60.0).chunks
    (treated,) = decoded(path, (chunk,))
    for backend in ("pyav", "torchcodec"):
        (raw,) = decoded(path, (untreated(chunk),), backend)
        assert colour_error(name, chunk, treated) < 0.6 * colour_error(name, chunk, raw)
    assert colour_error(name, chunk, treated) < 15


@pytest.mark.parametrize("name", INTERLACED)
def test_interlaced_pictures_are_no_longer_combed(name: str, clips: ClipFolder) -> None:
    path = clips.path(name)
    (chunk,) = planned(path, seconds=60.0).chunks
    (treated,) = decoded(path, (chunk,))
    (raw,) = decoded(path, (replace(chunk, treatment=replace(chunk.treatment, is_deinterlaced=False)),), "pyav")
    assert combing(treated.frames) < 0.3 * combing(raw.frames)


def pq_numbers(nits: NDArray[np.float64]) -> NDArray[np.uint16]:
    """(N,) to (1, N, 3) grey, by ST 2084's inverse EOTF."""
    power = (nits / 10_000) ** 0.1593017578125
    numbers = ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375
    return np.repeat(np.round(numbers * 65535).astype(np.uint16)[None, :, None], 3, axis=2)


def test_brightness_keeps_its_order_up_to_a_thousand_nits() -> None:
    nits = np.array([0, 0.05, 1, 10, 50, 101, 150, 203, 300, 400, 600, 800, 1000, 4000, 10_000])
    (greys,) = tone_mapped(pq_numbers(nits), HdrTransfer.PQ)
    assert np.ptp(greys, axis=1).max() <= 1  # still grey
    levels = greys[:, 1].astype(int)
    assert (np.diff(levels[:13]) > 0).all()
    assert levels[0] == 0
    assert levels[12:].tolist() == [255, 255, 255]
    sdr = (nits[1:6] / 203) ** (1 / 2.4) * 255
    assert np.abs(levels[1:6] - sdr).max() <= 1  # what SDR has as well is what it is in SDR
    assert 220 <= levels[7] <= 235


# --- Who does it, and where -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pq", "interlaced"])
def test_where_no_backend_can_it_is_told(name: str, clips: ClipFolder) -> None:
    path = clips.path(name)
    (chunk,) = planned(path, seconds=60.0).chunks
    (result,) = decoded(path, (chunk,), "torchcodec")
    assert result.report.untreated == chunk.treatment
    assert result.report.fallback_reason is None
    (raw,) = decoded(path, (untreated(chunk),), "torchcodec")
    assert (result.frames == raw.frames).all()
    assert raw.report.untreated == UNTREATED


def test_the_process_brings_the_same_frames(clips: ClipFolder) -> None:
    """Within its limits, and without a word from FFmpeg that would pass for damage."""
    with closing(decoding_process()) as process:
        for name in TREATED_CLIPS:
            check_process(process, clips.path(name))


def check_process(process: IsolatedProcess, path: Path) -> None:
    plan = planned(path)
    for chunk, expected in zip(plan.chunks, decoded(path, plan.chunks), strict=True):
        with closing(IsolatedBackends(process, path, plan.video)) as backends:
            result = ChunkDecoder(backends, ORDER).decode(chunk)
        assert (result.frames == expected.frames).all()
        assert replace(result.report, decode_seconds=0) == replace(expected.report, decode_seconds=0)
        assert not result.report.is_damaged


def test_limits_leave_room_for_treatment(clips: ClipFolder) -> None:
    plan = planned(clips.path("hlg"))
    video = replace(plan.video, width=3840, height=2160)
    treated, raw = (decode_limits(video, chunk, "pyav") for chunk in (plan.chunks[0], untreated(plan.chunks[0])))
    assert treated.cpu_seconds > raw.cpu_seconds + 10
    assert treated.memory_bytes > raw.memory_bytes + 250 * 1024**2
