"""Whether the frames that come are the frames that were planned, pixel by pixel."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from numpy.typing import NDArray
from qwen_vl_utils import vision_process as qwen
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import resize

from pipeline.config import DecodingSettings, VideoLimits
from pipeline.decoding import isolated_backends
from pipeline.decoding.backends import BACKENDS, InProcessBackends
from pipeline.decoding.chunk_decoder import TORCHCODEC_CUDA, BackendResult, ChunkDecoder, DecodingBackend
from pipeline.decoding.isolated_backends import DecodeRequest, IsolatedBackends, decode_limits, decoding_process
from pipeline.decoding.resizing import resize_frame
from pipeline.decoding.worker import DecodeWorker
from pipeline.errors import DecodeFailed, LongtakeError
from pipeline.isolation.process import Ask, GivenUp, IsolatedProcess, WorkAborted
from pipeline.planning.chunking import plan_chunks
from pipeline.planning.visual_tokens import DEFAULT_MAX_PIXELS, DEFAULT_MIN_PIXELS, DEFAULT_TOTAL_PIXELS
from pipeline.types import Chunk, ChunkingRequest, ChunkPlan, DecodedFrames, FrameSampling, TokenBudget
from pipeline.video.frame_lists import frame_list_video
from pipeline.video.probing import probe
from pipeline.video.video_files import VideoFile
from tests.clips import CLIPS, BrokenFiles, ClipFolder, number_of, real_clip
from tests.pipeline.video.test_frame_lists import drawn, encoded
from tests.pipeline.video.test_packet_index import WITHOUT_INDEX

ORDER = DecodingSettings().backend_order
ON_CPU = [backend for backend in BACKENDS if backend != TORCHCODEC_CUDA]
REFUSED = {
    "planned": dict.fromkeys(WITHOUT_INDEX, "packets allow no plan"),
    # torchcodec seeks by key frames that FFmpeg misplaces here. It must be found out, never believed.
    "torchcodec": dict.fromkeys(["ts", "late_ts", "mpeg2", "mpeg4_b"], "counts the video's frames in another way"),
    "pyav": {},
    "opencv": {"av1": "cannot open the video", "mpeg4_b": "counts the video's time in another way"},
    "decord": {
        **dict.fromkeys(["ts", "late_ts", "mpeg2", "mpeg4", "mpeg4_b", "mjpeg"], "is given MP4 and Matroska alone"),
        "av1": "cannot open the video",
        "edit_list": "counts the video's frames in another way",
    },
}
"""The clips that a backend is no match for: it has to say so, and bring nothing."""
WRONG = {("decord", "open_gop"), ("opencv", "mpeg2"), ("opencv", "ten_bit"), ("decord", "ten_bit")}
"""Where other frames, fewer frames or other colours come without a word. Both are for who asks for them."""
OTHER_COLOURS = {"ten_bit", "mjpeg"}
"""Where PyAV's FFmpeg makes other colours of some pixels than torchcodec's, which are fetch_video's."""
SMALL = FrameSampling(6.0, None, 768, 32 * 32, 64 * 1024, DEFAULT_TOTAL_PIXELS, 4)
QWENS = FrameSampling(2.0, None, 768, DEFAULT_MIN_PIXELS, DEFAULT_MAX_PIXELS, DEFAULT_TOTAL_PIXELS, 4)


def planned(path: Path, seconds: float = 1.5, overlap: float = 0.3, sampling: FrameSampling = SMALL) -> ChunkPlan:
    video = probe(path, fingerprint="bytes", limits=VideoLimits())
    request = ChunkingRequest(seconds, overlap, 0.0, None, sampling)
    budget = TokenBudget(10**7, 1000)
    return plan_chunks(video.info, video.pts_seconds, request, budget, max_chunks=1000, packet_index=video.packet_index)


def decoded(path: Path, chunks: tuple[Chunk, ...], *order: str) -> list[DecodedFrames]:
    with closing(InProcessBackends(path)) as backends:
        decoder = ChunkDecoder(backends, order or ORDER)
        return [decoder.decode(chunk) for chunk in chunks]


def check_numbers(name: str, chunk: Chunk, result: DecodedFrames) -> None:
    clip = CLIPS[name]
    numbers = [number_of(picture, clip.quarter_turns) for picture in result.frames]
    assert numbers == (chunk.frame_indices + clip.first_number).tolist()
    assert result.report.missing_pts_seconds == ()
    assert result.report.num_frames == chunk.num_frames
    assert result.frames.shape == (chunk.num_frames, chunk.height_px, chunk.width_px, 3)
    assert result.frames.dtype == np.uint8


@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.parametrize("backend", ON_CPU)
def test_backend_brings_the_planned_frames(name: str, backend: str, clips: ClipFolder) -> None:
    if (backend, name) in WRONG:
        pytest.skip("known to be wrong")
    path = clips.path(name)
    chunks = planned(path).chunks
    if words := REFUSED[backend].get(name):
        with pytest.raises(DecodeFailed, match=words):
            decoded(path, chunks, backend)
        return
    for chunk, result in zip(chunks, decoded(path, chunks, backend), strict=True):
        check_numbers(name, chunk, result)
        assert result.report.fallback_reason is None
        assert result.report.backend == backend


@pytest.mark.parametrize("name", CLIPS)
def test_backends_agree_on_every_pixel(name: str, clips: ClipFolder) -> None:
    path = clips.path(name)
    chunks = planned(path).chunks
    backends = [backend for backend in ON_CPU if name not in REFUSED[backend] and (backend, name) not in WRONG]
    first, *others = (decoded(path, chunks, backend) for backend in backends)
    for other in others:
        for ours, theirs in zip(first, other, strict=True):
            difference = np.abs(ours.frames.astype(int) - theirs.frames)
            assert difference.mean() < 1 if name in OTHER_COLOURS else not difference.any()
            assert (ours.pts_seconds == theirs.pts_seconds).all()


@pytest.mark.parametrize("name", ["bigbuckbunny.mp4", "bikes.mp4", "carphone_pristine.mp4"])
def test_backends_agree_on_real_clips(name: str) -> None:
    path = real_clip(name)
    chunks = planned(path, seconds=2.0).chunks[:2]
    first, *others = (decoded(path, chunks, backend) for backend in ON_CPU)
    for other in others:
        for ours, theirs in zip(first, other, strict=True):
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
    assert result.report.backend == "planned"
    assert result.report.fallback_reason is None
    assert result.report.decode_seconds > 0


@pytest.mark.parametrize("name", REFUSED["torchcodec"])
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
    assert re.match("a packet of the plan is damaged; torchcodec", result.report.fallback_reason or "")
    missing = result.report.missing_pts_seconds
    assert missing
    assert result.report.num_frames + len(missing) == chunk.num_frames
    assert len(result.frames) == len(result.pts_seconds) == result.report.num_frames
    assert sorted([*missing, *result.pts_seconds.tolist()]) == chunk.pts_seconds.tolist()


def test_frames_before_and_after_a_hole_are_the_right_ones(hole: Path) -> None:
    (chunk,) = planned(hole, seconds=10, sampling=replace(SMALL, fps=25)).chunks
    (result,) = decoded(hole, (chunk,), "pyav")
    for seconds, picture in zip(result.pts_seconds, result.frames, strict=True):
        number = round(seconds * 25)
        if not 30 <= number < 60:  # up to the hole, and from the next key frame on
            assert number_of(picture) == number


def test_a_chunk_without_a_frame_fails_and_says_why(clips: ClipFolder) -> None:
    path = clips.path("h264")
    chunk = planned(path).chunks[1]
    elsewhere = replace(
        chunk, pts_seconds=chunk.pts_seconds + 100, frame_indices=chunk.frame_indices + 2500, packet_runs=()
    )
    with pytest.raises(DecodeFailed, match=r"No frame between 1\.2 s and 2\.7 s .*torchcodec counts only 100 frames"):
        decoded(path, (elsewhere,))


def test_a_failed_backend_is_opened_again_for_the_next_chunk(clips: ClipFolder) -> None:
    path = clips.path("h264")
    chunk, good = planned(path).chunks[:2]
    wrong = replace(chunk, pts_seconds=chunk.pts_seconds + 0.02)
    with closing(InProcessBackends(path)) as backends:
        decoder = ChunkDecoder(backends, ORDER)
        with pytest.raises(DecodeFailed):
            decoder.decode(wrong)
        assert decoder.decode(good).report.backend == "planned"


@pytest.mark.parametrize("backend", ON_CPU)
def test_what_is_no_video_is_a_failed_decode(backend: str, clips: ClipFolder, broken_files: BrokenFiles) -> None:
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
    """Brings some frames of each chunk, in one shade of grey, and counts its videos."""

    num_opened = 0

    def __init__(self, grey: int, brings: Sequence[int]) -> None:
        self.grey, self.brings, self.is_open = grey, brings, False

    def open_video(self, video: VideoFile) -> DecodingBackend:
        self.num_opened += 1
        self.is_open = True
        return self

    def frames(self, chunk: Chunk) -> Iterator[tuple[int, NDArray[np.uint8]]]:
        for position, index in enumerate(chunk.frame_indices.tolist()):
            if index in self.brings:
                yield position, np.full((64, 64, 3), self.grey, np.uint8)

    def close(self) -> None:
        self.is_open = False


def decoded_by(fakes: dict[str, FakeDecoder], chunk: Chunk) -> DecodedFrames:
    with closing(
        InProcessBackends(Path("unused"), {name: fake.open_video for name, fake in fakes.items()})
    ) as backends:
        decoder = ChunkDecoder(backends, tuple(fakes))
        decoder.decode(chunk)
        return decoder.decode(chunk)


def test_backends_are_asked_until_all_frames_are_there(clips: ClipFolder) -> None:
    chunk = planned(clips.path("h264")).chunks[0]
    indices = chunk.frame_indices.tolist()
    fakes = {
        "few": FakeDecoder(10, indices[1:3]),
        "none": FakeDecoder(20, []),
        "all": FakeDecoder(30, indices),
        "never": FakeDecoder(40, indices),
    }
    result = decoded_by(fakes, chunk)
    assert result.frames[:, 0, 0, 0].tolist() == [30, 10, 10, *[30] * (len(indices) - 3)]
    assert (result.report.backend, result.report.num_frames) == ("few and all", len(indices))
    left = len(indices) - 2
    assert result.report.fallback_reason == f"few left out {left} frames; none left out {left} frames"
    assert [fake.num_opened for fake in fakes.values()] == [1, 1, 1, 0]  # once each, though two chunks were decoded
    assert not any(fake.is_open for fake in fakes.values())


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_its_backend_is_stood_in_for(clips: ClipFolder, process: IsolatedProcess) -> None:
    path = clips.path("h264")
    plan = planned(path)
    with closing(IsolatedBackends(process, path, plan.video)) as backends:
        result = ChunkDecoder(backends, (TORCHCODEC_CUDA, "pyav")).decode(plan.chunks[0])
    assert result.report.backend == "pyav"
    assert result.report.fallback_reason == "torchcodec cannot open the video on cuda"
    assert np.array_equal(result.frames, decoded(path, plan.chunks[:1])[0].frames)


@pytest.mark.gpu
def test_a_gpu_brings_the_planned_frames(clips: ClipFolder, process: IsolatedProcess) -> None:
    """Its colours differ by a little: it converts them itself."""
    path = clips.path("h264")
    plan = planned(path)
    with closing(IsolatedBackends(process, path, plan.video)) as backends:
        result = ChunkDecoder(backends, (TORCHCODEC_CUDA,)).decode(plan.chunks[0])
    (expected,) = decoded(path, plan.chunks[:1])
    assert np.abs(result.frames.astype(int) - expected.frames).mean() < 3


def test_what_no_backend_brings_is_missing(clips: ClipFolder) -> None:
    chunk = planned(clips.path("h264")).chunks[0]
    indices = chunk.frame_indices.tolist()
    result = decoded_by({"one": FakeDecoder(10, indices[:2]), "other": FakeDecoder(20, indices[3:4])}, chunk)
    assert result.frames[:, 0, 0, 0].tolist() == [10, 10, 20]
    assert result.report.num_frames == 3
    assert result.pts_seconds.tolist() == chunk.pts_seconds[[0, 1, 3]].tolist()
    assert result.report.missing_pts_seconds == tuple(chunk.pts_seconds[[2, *range(4, len(indices))]].tolist())


# --- In a process of its own ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def process() -> Iterator[IsolatedProcess]:
    process = decoding_process()
    yield process
    process.close()


@pytest.mark.parametrize("name", ["h264", "av1", "ts", "rotated"])
def test_the_process_brings_the_same_frames(name: str, process: IsolatedProcess, clips: ClipFolder) -> None:
    path = clips.path(name)
    plan = planned(path)
    for chunk, expected in zip(plan.chunks, decoded(path, plan.chunks), strict=True):
        with closing(IsolatedBackends(process, path, plan.video)) as backends:
            result = ChunkDecoder(backends, ORDER).decode(chunk)
        assert (result.frames == expected.frames).all()
        assert replace(result.report, decode_seconds=0) == replace(expected.report, decode_seconds=0)


def test_a_damaged_image_of_a_list_is_told(process: IsolatedProcess, tmp_path: Path) -> None:
    images = [encoded(drawn(number)) for number in range(6)]
    images[3] = images[3][:-300]
    path = tmp_path / "list.mov"
    path.write_bytes(frame_list_video(images, sample_fps=2.0, max_frames=6))
    reports = [result.report for result in decoded_apart(path, planned(path, seconds=1.0, overlap=0), process)]
    assert [report.is_damaged or bool(report.missing_pts_seconds) for report in reports] == [False, True, False]


def decoded_apart(path: Path, plan: ChunkPlan, process: IsolatedProcess) -> list[DecodedFrames]:
    with closing(IsolatedBackends(process, path, plan.video)) as backends:
        return [ChunkDecoder(backends, ORDER).decode(chunk) for chunk in plan.chunks]


@pytest.mark.parametrize("name", CLIPS)
def test_a_whole_video_is_never_called_damaged(name: str, process: IsolatedProcess, clips: ClipFolder) -> None:
    path = clips.path(name)
    plan = planned(path, seconds=1.0)
    for _ in range(2):  # the second time it seeks back
        assert not any(result.report.is_damaged for result in decoded_apart(path, plan, process))


def with_flipped_bits(path: Path, target: Path, seed: int) -> Path:
    """A copy with ten bits turned in its middle, which holds pictures."""
    content = bytearray(path.read_bytes())
    random = np.random.default_rng(seed)
    for place in random.integers(len(content) * 3 // 8, len(content) * 6 // 8, 10):
        content[place] ^= 1 << int(random.integers(8))
    target.write_bytes(content)
    return target


def loss_db(ours: NDArray[np.uint8], theirs: NDArray[np.uint8]) -> float:
    """The lowest signal-to-noise ratio of a picture."""
    errors = ((ours.astype(float) - theirs) ** 2).mean(axis=(1, 2, 3))
    return float(10 * np.log10(255**2 / max(errors.max(), 1e-9)))


def test_damage_that_shows_is_told(process: IsolatedProcess, clips: ClipFolder, tmp_path: Path) -> None:
    told, visible = 0, 0
    for name in ("h264", "hevc", "vp9", "av1", "mpeg4", "mkv"):
        path = clips.path(name)
        (chunk,) = planned(path, seconds=10.0).chunks
        (clean,) = decoded(path, (chunk,))
        for seed in range(5):
            damaged = with_flipped_bits(path, tmp_path / f"{seed}_{path.name}", seed)
            with suppress(LongtakeError):
                plan = planned(damaged, seconds=10.0)
                if len(plan.chunks) > 1:  # it seems longer now
                    continue
                (result,) = decoded_apart(damaged, plan, process)
                same = np.isin(chunk.pts_seconds, result.pts_seconds)
                if not len(result.frames) or same.sum() != len(result.frames):
                    continue
                if loss_db(result.frames, clean.frames[same]) < 25:
                    visible += 1
                    told += result.report.is_damaged or bool(result.report.missing_pts_seconds)
    assert visible >= 8
    assert told >= 0.85 * visible


class BreakingWorker(DecodeWorker):
    """Breaks in a way of each backend's own, and counts how often in a file."""

    def __call__(self, request: DecodeRequest, memory_fd: int | None, ask: Ask) -> BackendResult:
        with Path(os.environ["BREAKS"]).open("a") as breaks:
            breaks.write(f"{request.backend}\n")
        if request.backend == "planned":
            os.kill(os.getpid(), signal.SIGSEGV)
        while request.backend == "torchcodec":
            pass
        return super().__call__(request, memory_fd, ask)


def test_a_backend_that_breaks_is_replaced(tmp_path: Path, clips: ClipFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash may have had another reason and costs one retry; what takes too long would do so again."""
    breaks = tmp_path / "breaks"
    monkeypatch.setenv("BREAKS", str(breaks))
    monkeypatch.setattr(isolated_backends, "_LEAST_CPU_SECONDS", 0.5)
    path = clips.path("h264")
    plan = planned(path)
    with (
        closing(IsolatedProcess(f"{__name__}:BreakingWorker")) as process,
        closing(IsolatedBackends(process, path, plan.video)) as backends,
    ):
        result = ChunkDecoder(backends, ORDER).decode(plan.chunks[0])
    check_numbers("h264", plan.chunks[0], result)
    assert result.report.backend == "pyav"
    assert re.fullmatch(
        r"planned crashed \(signal 11\); torchcodec took more than \d+ s( of a core)?",
        result.report.fallback_reason or "",
    )
    assert breaks.read_text().split() == ["planned", "planned", "torchcodec", "pyav"]


def test_a_file_that_breaks_every_backend_is_a_failed_chunk(
    tmp_path: Path, clips: ClipFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BREAKS", str(tmp_path / "breaks"))
    plan = planned(clips.path("h264"))
    with (
        closing(IsolatedProcess(f"{__name__}:BreakingWorker")) as process,
        closing(IsolatedBackends(process, clips.path("h264"), plan.video)) as backends,
        pytest.raises(DecodeFailed, match=r"No frame between 0\.0 s and 1\.5 s .*planned crashed \(signal 11\)"),
    ):
        ChunkDecoder(backends, ("planned",)).decode(plan.chunks[0])


def test_work_that_failed_leaves_no_frames_behind(
    process: IsolatedProcess, clips: ClipFolder, broken_files: BrokenFiles
) -> None:
    """Its error holds them, and the next work would have to do without that memory."""
    path = clips.path("h264")
    plan = planned(path, sampling=replace(SMALL, resized_px=(1024, 1024), fps=25.0), seconds=4.0)
    failing = replace(plan.video, fingerprint="another")
    for _ in range(2):
        with (
            closing(IsolatedBackends(process, broken_files.text(), failing)) as backends,
            pytest.raises(DecodeFailed),
        ):
            ChunkDecoder(backends, ORDER).decode(plan.chunks[0])
        mapped = psutil.Process(process.worker_pid).memory_maps(grouped=False)
        assert not [each for each in mapped if "memfd:frames" in each.path]


def test_work_can_be_given_up_before_it_begins(process: IsolatedProcess, clips: ClipFolder) -> None:
    path = clips.path("h264")
    plan = planned(path)
    given_up = GivenUp()
    process.give_up(given_up)
    with (
        closing(IsolatedBackends(process, path, plan.video, given_up=given_up)) as backends,
        pytest.raises(WorkAborted),
    ):
        ChunkDecoder(backends, ORDER).decode(plan.chunks[0])


def test_every_backend_has_the_time_that_its_way_takes(clips: ClipFolder) -> None:
    plan = planned(clips.path("h264"), seconds=1.0)
    video = replace(plan.video, total_frames=10**6, width=1920, height=1080)
    late = replace(plan.chunks[-1], start_seconds=3600.0, stop_seconds=3601.0)
    seconds = {backend: decode_limits(video, late, backend).cpu_seconds for backend in BACKENDS}
    assert seconds["planned"] < seconds["torchcodec"] == seconds["pyav"] < seconds["opencv"]


def test_limits_leave_room_for_large_pictures(clips: ClipFolder) -> None:
    plan = planned(clips.path("h264"))
    small = decode_limits(plan.video, plan.chunks[0], "planned")
    large = decode_limits(replace(plan.video, width=3840, height=2160), plan.chunks[0], "planned")
    assert 8 <= small.cpu_seconds < 9
    assert small.memory_bytes < 600 * 1024**2
    assert large.cpu_seconds > 12
    assert large.memory_bytes > 1024**3


# --- Against Qwen's own preprocessing ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(352, 640), (96, 64), (416, 736), (272, 640), (272, 320), (96, 640)])
def test_resize_is_torchvisions_over_the_batch(height: int, width: int) -> None:
    batch = np.random.default_rng(0).integers(0, 256, (5, 272, 640, 3), np.uint8)
    planes = torch.from_numpy(batch).permute(0, 3, 1, 2)
    whole = resize(planes, [height, width], interpolation=InterpolationMode.BICUBIC, antialias=True)
    single = np.empty((5, height, width, 3), np.uint8)
    for frame, resized in zip(batch, single, strict=True):
        resize_frame(frame, resized)
    assert (single == whole.permute(0, 2, 3, 1).numpy()).all()


@pytest.mark.parametrize("name", ["bikes.mp4", "carphone_pristine.mp4"])
@pytest.mark.parametrize("backend", ON_CPU)
def test_a_whole_video_is_fetch_videos_tensor(name: str, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHCODEC_NUM_THREADS", "1")
    path = real_clip(name)
    asked = {"fps": QWENS.fps, "min_pixels": QWENS.min_pixels, "max_pixels": QWENS.max_pixels}
    pixels, metadata = qwen.fetch_video({"video": str(path), **asked}, image_patch_size=16, return_video_metadata=True)
    (chunk,) = planned(path, seconds=60.0, sampling=QWENS).chunks
    (result,) = decoded(path, (chunk,), backend)
    assert metadata["video_backend"] == "torchcodec"
    assert chunk.frame_indices.tolist() == metadata["frames_indices"]
    assert (torch.from_numpy(result.frames).permute(0, 3, 1, 2).float() == pixels).all()
