"""Whether the frames that come are the frames that were planned, pixel by pixel."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from qwen_vl_utils import vision_process as qwen
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import resize

from pipeline.chunking import plan_chunks
from pipeline.config import VideoLimits
from pipeline.decoding import ChunkDecoder, FrameDecoder, PyavFrameDecoder, TorchcodecFrameDecoder
from pipeline.decoding.resizing import resized_frame
from pipeline.errors import DecodeFailed, LongtakeError
from pipeline.probing import probe
from pipeline.types import Chunk, ChunkingRequest, ChunkPlan, DecodedFrames, FrameSampling, TokenBudget
from pipeline.visual_tokens import DEFAULT_MAX_PIXELS, DEFAULT_MIN_PIXELS, DEFAULT_TOTAL_PIXELS
from tests.clips import CLIPS, BrokenFiles, ClipFolder, number_of, real_clip

BACKENDS = (TorchcodecFrameDecoder, PyavFrameDecoder)
SEEKS_WRONG = {"ts", "late_ts", "mpeg4_b"}
"""torchcodec seeks by key frames that FFmpeg misplaces here. It must be found out, never believed."""
SMALL = FrameSampling(6.0, None, 768, 32 * 32, 64 * 1024, DEFAULT_TOTAL_PIXELS)
QWENS = FrameSampling(2.0, None, 768, DEFAULT_MIN_PIXELS, DEFAULT_MAX_PIXELS, DEFAULT_TOTAL_PIXELS)


def planned(path: Path, seconds: float = 1.5, overlap: float = 0.3, sampling: FrameSampling = SMALL) -> ChunkPlan:
    video = probe(path, fingerprint="bytes", limits=VideoLimits())
    request = ChunkingRequest(seconds, overlap, 0.0, None, sampling)
    return plan_chunks(video.info, video.pts_seconds, request, TokenBudget(10**7, 1000), max_chunks=1000)


def decoded(path: Path, chunks: tuple[Chunk, ...], *backends: Callable[[Path], FrameDecoder]) -> list[DecodedFrames]:
    decoder = ChunkDecoder(path, backends or BACKENDS)
    try:
        return [decoder.decode(chunk) for chunk in chunks]
    finally:
        decoder.close()


def check_numbers(name: str, chunk: Chunk, result: DecodedFrames) -> None:
    clip = CLIPS[name]
    numbers = [number_of(picture, clip.quarter_turns) for picture in result.frames]
    assert numbers == (chunk.frame_indices + clip.first_number).tolist()
    assert result.report.missing_pts_seconds == ()
    assert result.report.num_frames == chunk.num_frames
    assert result.frames.shape == (chunk.num_frames, chunk.height_px, chunk.width_px, 3)
    assert result.frames.dtype == np.uint8


@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_backend_brings_the_planned_frames(
    name: str, backend: Callable[[Path], FrameDecoder], clips: ClipFolder
) -> None:
    path = clips.path(name)
    chunks = planned(path).chunks
    if backend is TorchcodecFrameDecoder and name in SEEKS_WRONG:
        with pytest.raises(DecodeFailed, match="torchcodec counts the video's frames in another way"):
            decoded(path, chunks, backend)
        return
    for chunk, result in zip(chunks, decoded(path, chunks, backend), strict=True):
        check_numbers(name, chunk, result)
        assert result.report.fallback_reason is None
        assert result.report.backend == {TorchcodecFrameDecoder: "torchcodec", PyavFrameDecoder: "pyav"}[backend]


@pytest.mark.parametrize("name", sorted(set(CLIPS) - SEEKS_WRONG))
def test_backends_agree_on_every_pixel(name: str, clips: ClipFolder) -> None:
    path = clips.path(name)
    chunks = planned(path).chunks
    first, second = (decoded(path, chunks, backend) for backend in BACKENDS)
    for ours, theirs in zip(first, second, strict=True):
        assert (ours.frames == theirs.frames).all()
        assert (ours.pts_seconds == theirs.pts_seconds).all()


@pytest.mark.parametrize("name", ["bigbuckbunny.mp4", "bikes.mp4", "carphone_pristine.mp4"])
def test_backends_agree_on_real_clips(name: str) -> None:
    path = real_clip(name)
    chunks = planned(path, seconds=2.0).chunks[:2]
    first, second = (decoded(path, chunks, backend) for backend in BACKENDS)
    for ours, theirs in zip(first, second, strict=True):
        assert (ours.frames == theirs.frames).all()


@pytest.mark.parametrize("name", CLIPS)
def test_chunks_in_any_order(name: str, clips: ClipFolder) -> None:
    """Chunks reach a replica in the order in which others finish; its decoder stays open between them."""
    path = clips.path(name)
    chunks = planned(path, seconds=1.0, overlap=0.2).chunks
    order = np.random.default_rng(0).permutation(len(chunks))
    shuffled = tuple(chunks[place] for place in [*order, *order])
    for chunk, result in zip(shuffled, decoded(path, shuffled), strict=True):
        check_numbers(name, chunk, result)


def test_first_backend_is_used_where_it_can(clips: ClipFolder) -> None:
    path = clips.path("h264")
    (result, *_) = decoded(path, planned(path).chunks)
    assert result.report.backend == "torchcodec"
    assert result.report.fallback_reason is None
    assert result.report.decode_seconds > 0


@pytest.mark.parametrize("name", sorted(SEEKS_WRONG))
def test_fallback_is_recorded(name: str, clips: ClipFolder) -> None:
    path = clips.path(name)
    for result in decoded(path, planned(path).chunks):
        assert result.report.backend == "pyav"
        assert result.report.fallback_reason == "torchcodec counts the video's frames in another way"


def test_times_are_those_that_the_model_is_told(clips: ClipFolder) -> None:
    """A slide of two seconds stands into the chunk; for the model it is there from the chunk's start."""
    path = clips.path("slow")
    chunks = planned(path, seconds=5.0, overlap=1.0, sampling=replace(SMALL, fps=0.5)).chunks
    for chunk, result in zip(chunks, decoded(path, chunks), strict=True):
        assert (result.pts_seconds >= chunk.start_seconds).all()
        assert (result.pts_seconds < chunk.stop_seconds).all()
        later = chunk.pts_seconds >= chunk.start_seconds
        assert (result.pts_seconds[later] == chunk.pts_seconds[later]).all()


# --- Damage -----------------------------------------------------------------------------------------------------------


def zeroed(path: Path, target: Path, first: float, last: float) -> Path:
    """A copy with a part of its bytes zeroed."""
    content = bytearray(path.read_bytes())
    start, stop = int(len(content) * first), int(len(content) * last)
    content[start:stop] = bytes(stop - start)
    target.write_bytes(content)
    return target


@pytest.fixture
def hole(clips: ClipFolder, tmp_path: Path) -> Path:
    """H.264 with key frames 0, 30, 60 and 90, in which some of the pictures from 30 on are gone."""
    return zeroed(clips.path("h264"), tmp_path / "hole.mp4", 0.3, 0.4)


def test_frames_that_are_gone_are_listed(hole: Path) -> None:
    (chunk,) = planned(hole, seconds=10, sampling=replace(SMALL, fps=25)).chunks
    (result,) = decoded(hole, (chunk,))
    assert result.report.backend == "pyav"
    assert (result.report.fallback_reason or "").startswith("torchcodec")
    missing = result.report.missing_pts_seconds
    assert missing
    assert result.report.num_frames + len(missing) == chunk.num_frames
    assert len(result.frames) == len(result.pts_seconds) == result.report.num_frames
    assert sorted([*missing, *result.pts_seconds.tolist()]) == chunk.pts_seconds.tolist()


def test_frames_before_and_after_a_hole_are_the_right_ones(hole: Path) -> None:
    (chunk,) = planned(hole, seconds=10, sampling=replace(SMALL, fps=25)).chunks
    (result,) = decoded(hole, (chunk,), PyavFrameDecoder)
    for seconds, picture in zip(result.pts_seconds, result.frames, strict=True):
        number = round(seconds * 25)
        if not 30 <= number < 60:  # up to the hole, and from the next key frame on
            assert number_of(picture) == number


def test_a_chunk_without_a_frame_fails_and_says_why(clips: ClipFolder) -> None:
    path = clips.path("h264")
    chunk = planned(path).chunks[1]
    elsewhere = replace(chunk, pts_seconds=chunk.pts_seconds + 100, frame_indices=chunk.frame_indices + 2500)
    with pytest.raises(DecodeFailed, match=r"No frame between 1\.2 s and 2\.7 s .*torchcodec counts only 100 frames"):
        decoded(path, (elsewhere,))


def test_a_failed_backend_is_opened_again_for_the_next_chunk(clips: ClipFolder) -> None:
    path = clips.path("h264")
    chunk, good = planned(path).chunks[:2]
    wrong = replace(chunk, pts_seconds=chunk.pts_seconds + 0.02)
    decoder = ChunkDecoder(path, BACKENDS)
    with pytest.raises(DecodeFailed):
        decoder.decode(wrong)
    assert decoder.decode(good).report.backend == "torchcodec"
    decoder.close()


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_no_video_is_a_failed_decode(
    backend: Callable[[Path], FrameDecoder], clips: ClipFolder, broken_files: BrokenFiles
) -> None:
    (chunk, *_) = planned(clips.path("h264")).chunks
    for path in (broken_files.text(), broken_files.empty(), broken_files.audio_only(), broken_files.without_index()):
        with pytest.raises(DecodeFailed) as caught:
            decoded(path, (chunk,), backend)
        assert str(path.parent) not in caught.value.message


@pytest.mark.parametrize("name", ["h264", "mkv", "vp9", "av1", "mpeg4", "ts", "edit_list"])
@pytest.mark.parametrize("seed", range(6))
def test_damage_loses_frames_and_nothing_else(name: str, seed: int, broken_files: BrokenFiles) -> None:
    path = broken_files.damaged(name, seed)
    with suppress(LongtakeError):
        chunk = planned(path, seconds=4.0).chunks[0]
        (result,) = decoded(path, (chunk,))
        assert result.report.num_frames + len(result.report.missing_pts_seconds) == chunk.num_frames


class FakeDecoder:
    """Brings the first frames of each chunk, in grey; none fails."""

    def __init__(self, backend: str, num_frames: int) -> None:
        self.backend, self.num_frames, self.is_open = backend, num_frames, True

    def frames(self, chunk: Chunk) -> Iterator[tuple[int, torch.Tensor]]:
        for place in range(min(self.num_frames, chunk.num_frames)):
            yield place, torch.full((3, 64, 64), 128, dtype=torch.uint8)

    def close(self) -> None:
        self.is_open = False


def test_backends_are_asked_until_one_brings_all(clips: ClipFolder) -> None:
    (chunk, *_) = planned(clips.path("h264")).chunks
    fakes = [FakeDecoder("few", 2), FakeDecoder("more", 3), FakeDecoder("all", 100), FakeDecoder("never", 100)]
    opened: list[str] = []

    def opener(fake: FakeDecoder) -> Callable[[Path], FrameDecoder]:
        def open_video(path: Path) -> FrameDecoder:
            opened.append(fake.backend)
            return fake

        return open_video

    decoder = ChunkDecoder(Path("unused"), [opener(fake) for fake in fakes])
    for _ in range(2):
        report = decoder.decode(chunk).report
        assert (report.backend, report.num_frames) == ("all", chunk.num_frames)
        left_out = chunk.num_frames - 2, chunk.num_frames - 3
        assert report.fallback_reason == f"few left out {left_out[0]} frames; more left out {left_out[1]} frames"
    assert opened == ["few", "more", "all"]  # once each, though two chunks were decoded
    decoder.close()
    assert [fake.is_open for fake in fakes] == [False, False, False, True]


def test_the_backend_with_the_most_frames_wins(clips: ClipFolder) -> None:
    (chunk, *_) = planned(clips.path("h264")).chunks
    fakes = [FakeDecoder("some", 2), FakeDecoder("most", 4), FakeDecoder("few", 1)]
    report = decoded(Path("unused"), (chunk,), *[lambda _, fake=fake: fake for fake in fakes])[0].report
    assert (report.backend, report.num_frames) == ("most", 4)
    assert report.missing_pts_seconds == tuple(chunk.pts_seconds[4:].tolist())
    assert (report.fallback_reason or "").startswith("some left out")


# --- Against Qwen's own preprocessing ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(352, 640), (96, 64), (416, 736)])
def test_resize_is_torchvisions_over_the_batch(height: int, width: int, clips: ClipFolder) -> None:
    batch = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (5, 3, 272, 640), np.uint8))
    whole = resize(batch, [height, width], interpolation=InterpolationMode.BICUBIC, antialias=True)
    single = np.stack([resized_frame(frame, height, width) for frame in batch])
    assert (single == whole.permute(0, 2, 3, 1).numpy()).all()


@pytest.mark.parametrize("name", ["bikes.mp4", "carphone_pristine.mp4"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_whole_video_is_fetch_videos_tensor(
    name: str, backend: Callable[[Path], FrameDecoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHCODEC_NUM_THREADS", "1")
    path = real_clip(name)
    asked = {"fps": QWENS.fps, "min_pixels": QWENS.min_pixels, "max_pixels": QWENS.max_pixels}
    pixels, metadata = qwen.fetch_video({"video": str(path), **asked}, image_patch_size=16, return_video_metadata=True)
    (chunk,) = planned(path, seconds=60.0, sampling=QWENS).chunks
    (result,) = decoded(path, (chunk,), backend)
    assert metadata["video_backend"] == "torchcodec"
    assert chunk.frame_indices.tolist() == metadata["frames_indices"]
    assert (torch.from_numpy(result.frames).permute(0, 3, 1, 2).float() == pixels).all()
