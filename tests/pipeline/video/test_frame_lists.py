"""Make a video of a list of images: valid and invalid images, and the same frames as from fetch_video."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from qwen_vl_utils import vision_process as qwen

from pipeline.answers.coverage import decoded_frames
from pipeline.config import DecodingSettings, VideoLimits
from pipeline.decoding.backends import InProcessBackends
from pipeline.decoding.chunk_decoder import ChunkDecoder
from pipeline.errors import InvalidRequest, LongtakeError, UnreadableVideo, UnsupportedMedia, VideoTooLong
from pipeline.planning.chunking import plan_chunks
from pipeline.planning.visual_tokens import DEFAULT_MAX_PIXELS, DEFAULT_MIN_PIXELS, DEFAULT_TOTAL_PIXELS
from pipeline.types import ChunkingRequest, ChunkPlan, DecodedFrames, FrameSampling, TokenBudget
from pipeline.video.frame_lists import MAX_SAMPLE_FPS, MIN_SAMPLE_FPS, frame_list_video
from pipeline.video.probing import ProbedVideo, probe
from tests.clips import number_of
from tests.images import HEIGHT, WIDTH, drawn, encoded, jpegs

ORDER = DecodingSettings().backend_order
LONGEST_CHUNK_SECONDS = 1e6
ALL = FrameSampling(None, None, 768, DEFAULT_MIN_PIXELS, DEFAULT_MAX_PIXELS, DEFAULT_TOTAL_PIXELS, 4)
ORIENTATION = Image.ExifTags.Base.Orientation


def video_of(images: Sequence[bytes], path: Path, sample_fps: float = 2.0) -> ProbedVideo:
    path.write_bytes(frame_list_video(images, sample_fps=sample_fps, max_frames=1000))
    return probe(path, fingerprint="bytes", limits=VideoLimits())


def plan_of(video: ProbedVideo, sampling: FrameSampling = ALL, seconds: float = LONGEST_CHUNK_SECONDS) -> ChunkPlan:
    request = ChunkingRequest(seconds, 0.0, 0.0, None, sampling)
    return plan_chunks(video.info, video.pts_seconds, request, TokenBudget(10**8, 0), max_chunks=1000)


def decoded(path: Path, plan: ChunkPlan) -> list[DecodedFrames]:
    with closing(InProcessBackends(path)) as backends:
        return [ChunkDecoder(backends, ORDER).decode(chunk) for chunk in plan.chunks]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("frame_lists")


# --- Against fetch_video ----------------------------------------------------------------------------------------------

Pictures = list[NDArray[np.uint8]]
sides = st.integers(2, 6).map(lambda blocks: 64 * blocks)


@st.composite
def frame_lists(draw: st.DrawFn) -> tuple[Pictures, dict[str, int]]:
    """Noise, and bounds of its size in pixels, that fetch_video's first resize leaves alone: it is one to multiples of
    64 within the bounds of a single picture, and not wanted here (docs/architecture.md).
    """
    count, height, width = draw(st.integers(1, 9)), draw(sides), draw(sides)
    random = np.random.default_rng(draw(st.integers(0, 100)))
    # With less, fetch_video rounds the shorter side to 0 pixels and fails.
    fewest_pixels = count * 1024 * math.ceil(max(height, width) / min(height, width))
    bounds = {
        "min_pixels": draw(st.integers(1024, height * width)),
        "max_pixels": draw(st.integers(height * width, DEFAULT_MAX_PIXELS)),
        "total_pixels": draw(st.integers(fewest_pixels, max(fewest_pixels, 2 * count * height * width))),
    }
    return list(random.integers(0, 256, (count, height, width, 3), dtype=np.uint8)), bounds


rates = st.one_of(st.sampled_from([1.0, 2.0, 12.5, 29.97, 30.0]), st.floats(0.05, 60))


@settings(max_examples=40)
@given(frame_lists(), rates)
def test_a_list_is_what_fetch_video_makes_of_it(
    folder: Path, list_and_bounds: tuple[Pictures, dict[str, int]], sample_fps: float
) -> None:
    """Counts, size, metadata and every pixel, of PNGs. A count that is odd fetch_video makes even by repeating the last
    frame, and counts that one too: here it is left to the engine, which repeats it in the same way.
    """
    pictures, bounds = list_and_bounds
    expected, metadata = qwen.fetch_video(
        {"video": [Image.fromarray(one) for one in pictures], "sample_fps": sample_fps, **bounds},
        image_patch_size=16,
        return_video_metadata=True,
    )
    path = folder / "list.mov"
    video = video_of([encoded(Image.fromarray(one), "PNG", compress_level=1) for one in pictures], path, sample_fps)
    plan = plan_of(video, FrameSampling(None, None, 768, min_frames=4, **bounds))
    (chunk,), (result,) = plan.chunks, decoded(path, plan)
    indices, seconds = decoded_frames(chunk, result.report)
    assert plan.notices == ()
    assert len(expected) == len(pictures) + len(pictures) % 2
    assert indices.tolist() == metadata["frames_indices"][: len(pictures)] == list(range(len(pictures)))
    assert video.info.fps == pytest.approx(metadata["fps"], rel=1e-9)
    assert video.info.total_frames + len(pictures) % 2 == pytest.approx(metadata["total_num_frames"])
    assert seconds == pytest.approx(np.arange(len(pictures)) / sample_fps)
    assert result.frames.shape[1:3] == tuple(expected.shape[2:])
    assert (result.frames == expected[: len(pictures)].permute(0, 2, 3, 1).numpy()).all()
    if len(pictures) % 2:
        assert (expected[-1] == expected[-2]).all()


@pytest.mark.parametrize(
    ("options", "largest", "mean"),
    [
        ({"subsampling": "4:4:4"}, 3, 0.1),
        ({"subsampling": "4:2:0"}, 8, 1.3),
        ({"subsampling": "4:2:0", "progressive": True}, 8, 1.3),
    ],
)
def test_a_jpegs_colours_differ_from_fetch_videos_by_little(
    options: dict[str, Any], largest: int, mean: float, folder: Path
) -> None:
    """FFmpeg's decoder and Pillow's round differently, and spread colours that were stored at half the size in other
    ways. What they differ by here, smooth colours, stands in docs/architecture.md.
    """
    y, x = np.mgrid[0:384, 0:640]
    waves = [
        np.stack([128 + 120 * np.sin(x / 37 + n), 128 + 120 * np.cos(y / 29 - n), 128 + 100 * np.sin((x + y) / 53)], -1)
        for n in range(4)
    ]
    images = [encoded(Image.fromarray(wave.astype(np.uint8)), quality=90, **options) for wave in waves]
    expected = qwen.fetch_video({"video": [Image.open(io.BytesIO(image)) for image in images]}, image_patch_size=16)
    path = folder / "waves.mov"
    (result,) = decoded(path, plan_of(video_of(images, path)))
    difference = np.abs(result.frames.astype(int) - expected.permute(0, 2, 3, 1).numpy())
    assert difference.max() <= largest
    assert difference.mean() <= mean


# --- What is taken ----------------------------------------------------------------------------------------------------


def of_all_kinds() -> Iterator[bytes]:
    upright = Image.Exif()
    upright[ORIENTATION] = 1
    yield encoded(drawn(0))
    yield encoded(drawn(1), subsampling="4:4:4")
    yield encoded(drawn(2), progressive=True)
    yield encoded(drawn(3).convert("L"))
    yield encoded(drawn(4).convert("CMYK"))
    yield encoded(drawn(5), exif=upright, comment=b"a comment", icc_profile=b"\0" * 100_000)
    yield encoded(drawn(6), restart_marker_blocks=4)
    yield encoded(drawn(7), "MPO", save_all=True, append_images=[drawn(99)])  # two pictures, as some cameras do


def test_jpegs_of_all_kinds_may_be_mixed(folder: Path) -> None:
    path = folder / "kinds.mov"
    (result,) = decoded(path, plan_of(video_of(list(of_all_kinds()), path)))
    assert [number_of(frame) for frame in result.frames] == list(range(8))
    assert result.report.fallback_reason is None


def test_pngs_of_all_kinds_may_be_mixed(folder: Path) -> None:
    path = folder / "kinds.mov"
    modes = ["RGB", "L", "P", "RGB"]
    images = [encoded(drawn(number).convert(mode), "PNG") for number, mode in enumerate(modes)]
    (result,) = decoded(path, plan_of(video_of(images, path)))
    assert [number_of(frame) for frame in result.frames] == list(range(4))


@pytest.mark.parametrize("sample_fps", [MIN_SAMPLE_FPS, 1 / 3, 23.976, 30000 / 1001, 17.123456, MAX_SAMPLE_FPS])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_times_are_those_of_the_rate(count: int, sample_fps: float, folder: Path) -> None:
    video = video_of(jpegs(count), folder / "rate.mov", sample_fps)
    rate = Fraction(sample_fps).limit_denominator(10**6)
    assert video.pts_seconds == pytest.approx([float(index / rate) for index in range(count)], rel=1e-12)
    assert video.info.fps == pytest.approx(sample_fps, rel=1e-9)
    assert (video.info.total_frames, video.info.is_variable_frame_rate) == (count, False)
    assert (video.info.width, video.info.height, video.info.codec) == (WIDTH, HEIGHT, "mjpeg")


@given(
    st.integers(1, 60),
    st.floats(0.1, 60),
    st.floats(1, 20),
    st.floats(0, 0.9),
    st.integers(4, 60),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_every_frame_is_looked_at_unless_it_is_said(
    folder: Path,
    count: int,
    sample_fps: float,
    seconds: float,
    overlap_share: float,
    max_frames: int,
    range_shares: tuple[float, float],
) -> None:
    video = video_of(jpegs(1) * count, folder / "all.mov", sample_fps)
    start, stop = (share * video.info.duration_seconds for share in sorted(range_shares))
    assume(stop - start > 1e-3)
    sampling = FrameSampling(None, None, max_frames, 4096, 12288, DEFAULT_TOTAL_PIXELS, 4)
    request = ChunkingRequest(seconds, overlap_share * seconds, start, stop, sampling)
    plan = plan_chunks(video.info, video.pts_seconds, request, TokenBudget(10**6, 0), max_chunks=100_000)
    assert all(chunk.num_frames <= max_frames for chunk in plan.chunks)
    if any("frames per second did not fit" in notice for notice in plan.notices):
        return
    begin_in_range = np.flatnonzero((video.pts_seconds >= start) & (video.pts_seconds < stop - 1e-5))
    assert set(begin_in_range) <= set(np.concatenate([chunk.frame_indices for chunk in plan.chunks]))


@pytest.mark.parametrize(("sample_fps", "max_frames", "looked_at"), [(4.0, 8, 4), (4.0, 6, 3), (4.1, 8, 4)])
def test_what_does_not_fit_is_thinned_and_said(
    sample_fps: float, max_frames: int, looked_at: float, folder: Path
) -> None:
    """Chunks get no shorter than 2 s: of 4 frames a second they hold 8, and of 4.1 some hold 9."""
    video = video_of(jpegs(1) * 40, folder / "thinned.mov", sample_fps)
    plan = plan_of(video, FrameSampling(None, None, max_frames, 4096, 12288, DEFAULT_TOTAL_PIXELS, 4))
    assert [chunk.num_frames for chunk in plan.chunks[:4]] == [max_frames] * 4
    assert plan.planned_fps == pytest.approx(looked_at)
    said = f"{sample_fps:g} frames per second did not fit the frame or token budget even in chunks of 2 s; "
    assert any(notice.startswith(said) for notice in plan.notices) == (looked_at < sample_fps)


def test_a_list_may_be_thinned_on_demand(folder: Path) -> None:
    video = video_of(jpegs(12), folder / "thin.mov")
    (chunk,) = plan_of(video, FrameSampling(1.0, None, 768, 4096, 12288, DEFAULT_TOTAL_PIXELS, 4)).chunks
    assert chunk.num_frames == 6


# --- What is refused --------------------------------------------------------------------------------------------------


def turned(orientation: int, kind: str) -> bytes:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return encoded(drawn(1), kind, exif=exif)


def with_header(image: bytes, marker: int, height: int, width: int) -> bytes:
    """A baseline JPEG with another frame header."""
    place = image.index(b"\xff\xc0")
    size = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return image[: place + 1] + bytes([marker]) + image[place + 2 : place + 5] + size + image[place + 9 :]


def with_two_headers() -> bytes:
    image = encoded(drawn(1))
    place = image.index(b"\xff\xc0")
    header = image[place : place + 2 + int.from_bytes(image[place + 2 : place + 4], "big")]
    return image[:place] + header + image[place:]


JPEG, PNG = encoded(drawn(1)), encoded(drawn(1), "PNG")
NO_IMAGE, RARE = "is not a JPEG or PNG image", "is a JPEG of a rare kind"
CUT_OFF = "is damaged, or cut off before its picture"


@pytest.mark.parametrize(
    ("image", "kind", "words"),
    [
        (b"", UnsupportedMedia, NO_IMAGE),
        (b"not an image at all", UnsupportedMedia, NO_IMAGE),
        (encoded(drawn(1), "GIF"), UnsupportedMedia, NO_IMAGE),
        (JPEG[:3], UnsupportedMedia, CUT_OFF),
        (JPEG[:200], UnsupportedMedia, CUT_OFF),
        (JPEG[:4] + b"\0\0" + JPEG[6:], UnsupportedMedia, CUT_OFF),
        (b"\xff\xd8\xff\xda\0\2" + JPEG, UnsupportedMedia, CUT_OFF),
        (with_two_headers(), UnsupportedMedia, "is a JPEG with two headers"),
        (with_header(JPEG, 0xC0, 0, WIDTH), UnsupportedMedia, "is a JPEG without a size"),
        (with_header(JPEG, 0xC3, HEIGHT, WIDTH), UnsupportedMedia, RARE),
        (with_header(JPEG, 0xC9, HEIGHT, WIDTH), UnsupportedMedia, RARE),
        (turned(6, "JPEG"), UnsupportedMedia, r"is rotated by its Exif data \(orientation 6\)"),
        (PNG, InvalidRequest, "is a PNG of 192x128 px, and frame 0 is a JPEG of 192x128 px"),
        (encoded(drawn(1, 64, 32)), InvalidRequest, "is a JPEG of 64x32 px, and frame 0 is a JPEG of 192x128 px"),
        (with_header(JPEG, 0xC0, 9000, 9000), InvalidRequest, "is a JPEG of 9000x9000 px"),
    ],
)
def test_the_first_bad_image_is_named(image: bytes, kind: type[LongtakeError], words: str) -> None:
    with pytest.raises(kind, match=f"^Frame 2 of the list, counted from 0, .*{words}"):
        frame_list_video([*jpegs(2), image, b"another bad one"], sample_fps=2.0, max_frames=9)


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (PNG[:20], "is a PNG without a header"),
        (PNG[:16] + bytes(4) + PNG[20:], "is a PNG without a size"),
        (turned(3, "PNG"), r"orientation 3"),
        (encoded(drawn(1).convert("RGBA"), "PNG"), "is a PNG with transparency"),
        (encoded(drawn(1).convert("LA"), "PNG"), "is a PNG with transparency"),
        (encoded(drawn(1).convert("P"), "PNG", transparency=0), "is a PNG with transparency"),
        (encoded(Image.new("I;16", (WIDTH, HEIGHT)), "PNG"), "is a PNG of 16 bits a sample"),
    ],
)
def test_a_png_that_readers_disagree_about_is_named(image: bytes, words: str) -> None:
    with pytest.raises(UnsupportedMedia, match=f"^Frame 1 of the list, counted from 0, .*{words}"):
        frame_list_video([encoded(drawn(0), "PNG"), image], sample_fps=2.0, max_frames=9)


def test_no_frames_and_too_many() -> None:
    with pytest.raises(InvalidRequest, match="The list holds no frames"):
        frame_list_video([], sample_fps=2.0, max_frames=9)
    assert frame_list_video(jpegs(3), sample_fps=2.0, max_frames=3)
    with pytest.raises(VideoTooLong, match="more than 3 frames"):
        frame_list_video(jpegs(4), sample_fps=2.0, max_frames=3)


def test_a_list_longer_than_allowed_is_refused_as_a_video_is(folder: Path) -> None:
    with pytest.raises(VideoTooLong, match="lasts 90000 s"):
        video_of(jpegs(1) * 900, folder / "long.mov", MIN_SAMPLE_FPS)


@pytest.mark.parametrize(
    ("size", "kind"),
    [((65_500, 65_500), UnreadableVideo), ((16_000, 16_000), VideoTooLong), ((480, 640), UnreadableVideo)],
)
def test_a_size_that_lies_is_found_out_by_the_probe(
    size: tuple[int, int], kind: type[LongtakeError], folder: Path
) -> None:
    with pytest.raises(kind):
        video_of([with_header(JPEG, 0xC0, *size)] * 2, folder / "lies.mov")
