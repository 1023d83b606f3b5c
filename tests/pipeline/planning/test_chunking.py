"""The plan: what is looked at, and what is said about it."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from qwen_vl_utils import vision_process as qwen

from pipeline.errors import InvalidRequest
from pipeline.planning.chunking import plan_chunks
from pipeline.planning.visual_tokens import (
    DEFAULT_MAX_PIXELS,
    DEFAULT_MIN_PIXELS,
    DEFAULT_TOTAL_PIXELS,
    FACTOR_PX,
    chunk_token_bound,
)
from pipeline.types import ChunkingRequest, ChunkPlan, FrameSampling, PictureTreatment, TokenBudget, VideoInfo
from pipeline.video.packet_index import PacketIndex
from tests.clips import CLIPS, TREATED_CLIPS, ClipFolder
from tests.pipeline.decoding.chunks import SMALL, planned
from tests.pipeline.decoding.treated import HDR, INTERLACED

ROOMY = TokenBudget(max_model_len=10**7, text_tokens=1000)
SAMPLING = FrameSampling(
    fps=2.0,
    nframes=None,
    max_frames_per_chunk=768,
    min_pixels=DEFAULT_MIN_PIXELS,
    max_pixels=DEFAULT_MAX_PIXELS,
    total_pixels=DEFAULT_TOTAL_PIXELS,
    min_frames=4,
)
REQUEST = ChunkingRequest(60.0, 2.0, 0.0, None, SAMPLING)


class Video:
    """A video as probing describes it; 720p in pairs of 720 tokens and 17 or 19 more for the time."""

    def __init__(self, pts_seconds: NDArray[np.float64], frame_seconds: float, *, is_variable: bool = False) -> None:
        self.pts_seconds = pts_seconds
        duration = float(pts_seconds[-1]) + frame_seconds
        self.info = VideoInfo(
            width=1280,
            height=720,
            fps=len(pts_seconds) / duration,
            duration_seconds=duration,
            total_frames=len(pts_seconds),
            codec="h264",
            container="matroska,webm",
            size_bytes=1,
            fingerprint="bytes",
            is_variable_frame_rate=is_variable,
            clock_offset_seconds=1.5,
        )

    @classmethod
    def steady(cls, num_frames: int, fps: float = 25.0) -> Video:
        return cls(np.arange(num_frames) / fps, 1 / fps)

    @classmethod
    def irregular(cls, gaps_seconds: list[float]) -> Video:
        pts = np.concatenate([[0.0], np.cumsum(gaps_seconds)])
        return cls(pts, float(np.median(gaps_seconds)), is_variable=True)


def plan(
    video: Video,
    request: ChunkingRequest = REQUEST,
    budget: TokenBudget = ROOMY,
    max_chunks: int = 5000,
    packet_index: PacketIndex | None = None,
    **sampling: float | None,
) -> ChunkPlan:
    request = replace(request, frame_sampling=replace(request.frame_sampling, **sampling))  # type: ignore[arg-type]
    return plan_chunks(video.info, video.pts_seconds, request, budget, max_chunks=max_chunks, packet_index=packet_index)


def keys_at(video: Video, seconds: list[float]) -> PacketIndex:
    """The packets of `video` in display order, a tick for each, with key frames at `seconds`."""
    places = np.searchsorted(video.pts_seconds, np.array(seconds) - 1e-6)
    return PacketIndex(np.arange(len(video.pts_seconds)), places, places)


def spans(planned: ChunkPlan) -> list[tuple[float, float]]:
    return [(chunk.start_seconds, chunk.stop_seconds) for chunk in planned.chunks]


def budget_for(num_frames: int) -> TokenBudget:
    """Exactly `num_frames` frames of 720p fit, which the model sees at 1152x640."""
    return TokenBudget(1000 + chunk_token_bound(num_frames, 640, 1152), 1000)


# --- Where the cuts are -----------------------------------------------------------------------------------------------


def test_chunks_overlap_and_leave_no_gap() -> None:
    planned = plan(Video.steady(25 * 200))
    assert spans(planned) == [(0, 60), (58, 118), (116, 176), (174, 200)]
    assert (planned.start_seconds, planned.stop_seconds) == (0, 200)
    assert [chunk.index for chunk in planned.chunks] == [0, 1, 2, 3]
    assert planned.notices == ()
    assert [chunk.num_frames for chunk in planned.chunks] == [120, 120, 120, 52]


def test_without_overlap_each_frame_is_in_one_chunk() -> None:
    planned = plan(Video.steady(100), replace(REQUEST, chunk_duration_seconds=1, chunk_overlap_seconds=0), fps=25)
    assert spans(planned) == [(0, 1), (1, 2), (2, 3), (3, 4)]
    ends = [(chunk.frame_indices[0], chunk.frame_indices[-1]) for chunk in planned.chunks]
    assert ends == [(0, 24), (25, 49), (50, 74), (75, 99)]


@pytest.mark.parametrize(
    ("num_frames", "last"),
    [
        (25 * 60 + 24, (0.0, 60.96)),  # 0.96 s is less than two frames at 2 per second
        (25 * 60 + 25, (58.0, 61.0)),
    ],
)
def test_a_tail_too_short_for_a_pair_joins_the_last_chunk(num_frames: int, last: tuple[float, float]) -> None:
    assert spans(plan(Video.steady(num_frames)))[-1] == pytest.approx(last)


def test_chunks_start_at_a_key_frame_that_is_near() -> None:
    video = Video.steady(25 * 200)
    index = keys_at(video, [0.0, 53.0, 108.0, 110.9, 111.0, 160.0])
    # 53.0 is within a tenth of 58 s before it; of three near 111 s the last one; 160 s is too far from 169 s.
    assert spans(plan(video, packet_index=index)) == [(0, 55), (53, 113), (111, 171), (169, 200)]


def test_a_key_frame_makes_no_chunk_longer() -> None:
    video = Video.steady(25 * 200)
    assert spans(plan(video, packet_index=keys_at(video, [0.0, 58.1, 116.04]))) == spans(plan(video))


def test_a_rest_that_joins_the_last_chunk_joins_it_beside_a_key_frame_too() -> None:
    video = Video.steady(25 * 60 + 24)
    assert spans(plan(video, packet_index=keys_at(video, [0.0, 57.0]))) == [(0, 60.96)]


def test_a_chunk_that_starts_at_a_key_frame_needs_nothing_before_it() -> None:
    video = Video.steady(25 * 200)
    index = keys_at(video, [0.0, 50.0, 56.0, 100.0, 112.0, 150.0])
    for chunk in plan(video, packet_index=index).chunks[1:3]:
        assert chunk.packet_runs[0].first_pts_ticks == round(chunk.start_seconds * 25)


def test_a_short_video_is_one_chunk() -> None:
    planned = plan(Video.steady(50))
    assert spans(planned) == [(0, 2)]
    assert planned.chunks[0].num_frames == 4


def test_a_part_of_the_video() -> None:
    planned = plan(Video.steady(25 * 200), replace(REQUEST, video_start_seconds=30.0, video_end_seconds=100.02))
    assert spans(planned) == [(30, 90), (88, 100.02)]
    first, last = planned.chunks[0].frame_indices[0], planned.chunks[-1].frame_indices[-1]
    assert (first, last) == (750, 2500)  # the frame at 100.00 s


def test_ranges_are_half_open() -> None:
    planned = plan(Video.steady(25 * 10), replace(REQUEST, video_start_seconds=2.0, video_end_seconds=4.0))
    (chunk,) = planned.chunks
    assert (chunk.frame_indices[0], chunk.frame_indices[-1]) == (50, 99)


def test_an_end_behind_the_video_is_its_end() -> None:
    assert plan(Video.steady(100), replace(REQUEST, video_end_seconds=1e6)).stop_seconds == 4.0


def test_a_start_between_two_frames_shows_the_one_on_the_screen() -> None:
    """One frame each two seconds; nothing begins between 2.5 and 3.5 s."""
    (chunk,) = plan(Video.steady(10, fps=0.5), replace(REQUEST, video_start_seconds=2.5, video_end_seconds=3.5)).chunks
    assert chunk.frame_indices.tolist() == [1]
    assert chunk.pts_seconds.tolist() == [2.0]


@pytest.mark.parametrize("num_frames", [1, 2, 3, 5])
def test_few_frames(num_frames: int) -> None:
    (chunk,) = plan(Video.steady(num_frames)).chunks
    assert chunk.num_frames == {1: 1, 2: 2, 3: 2, 5: 4}[num_frames]
    assert chunk.frame_indices[-1] == num_frames - 1


def test_frames_know_their_times_and_the_containers_clock() -> None:
    video = Video.steady(25 * 100)
    for chunk in plan(video).chunks:
        assert chunk.pts_seconds.tolist() == video.pts_seconds[chunk.frame_indices].tolist()
        assert chunk.clock_offset_seconds == 1.5


# --- Budgets ----------------------------------------------------------------------------------------------------------


def test_chunks_get_shorter_before_the_rate_falls() -> None:
    planned = plan(Video.steady(25 * 120), budget=budget_for(40))
    assert planned.chunk_duration_seconds == 20
    assert planned.planned_fps == 2.0
    assert {chunk.num_frames for chunk in planned.chunks[:-1]} == {40}
    assert planned.notices == (
        "Chunks of 60 s did not fit 40 frames, the most that one engine request takes here; they were cut to 20 s.",
    )


def test_the_rate_falls_where_a_chunk_can_get_no_shorter() -> None:
    request = replace(REQUEST, chunk_overlap_seconds=5.0)
    planned = plan(Video.steady(25 * 120), request, budget_for(10))
    assert planned.chunk_duration_seconds == 10  # twice the overlap
    assert planned.planned_fps == 1.0
    assert planned.requested_fps == 2.0
    assert {chunk.num_frames for chunk in planned.chunks[:-1]} == {10}
    assert "2 frames per second did not fit" in planned.notices[1]
    assert "1 were looked at" in planned.notices[1]


def test_half_of_the_frames_are_not_left_out_in_silence() -> None:
    """2 of 4 frames fit a chunk of 2 s, the shortest."""
    request = replace(REQUEST, chunk_duration_seconds=2.0, chunk_overlap_seconds=0.0)
    planned = plan(Video.steady(250), request, budget_for(2))
    assert [chunk.num_frames for chunk in planned.chunks] == [2] * 5
    assert planned.planned_fps == 1.0
    assert "2 frames per second did not fit" in planned.notices[0]


def test_a_budget_never_makes_chunks_longer() -> None:
    """At one frame in 100 s a pair would reach over 200 s."""
    planned = plan(Video.steady(25 * 300), budget=budget_for(2), fps=0.01)
    assert planned.chunk_duration_seconds <= 60


def test_max_frames_per_chunk_is_a_budget() -> None:
    planned = plan(Video.steady(25 * 120), max_frames_per_chunk=30)
    assert planned.chunk_duration_seconds == 15
    assert max(chunk.num_frames for chunk in planned.chunks) == 30


def test_frames_that_the_video_lacks_fill_no_budget() -> None:
    """60 frames per second over 60 s would be 3600; the video has 120 of them."""
    planned = plan(Video.steady(120, fps=2.0), fps=60)
    assert len(planned.chunks) == 1
    assert planned.planned_fps == 2.0
    assert planned.notices == ("fps is 60, and the video itself has 2 frames per second: all were taken.",)


def test_all_were_taken_is_not_said_where_they_were_not() -> None:
    request = replace(REQUEST, chunk_duration_seconds=2.0, chunk_overlap_seconds=0.0)
    planned = plan(Video.steady(250), request, budget_for(6), fps=60)
    (notice,) = planned.notices
    assert "60 frames per second did not fit" in notice
    assert "3 were looked at" in notice


def test_a_size_that_is_asked_for_wins_over_the_bounds() -> None:
    planned = plan(Video.steady(2500), resized_px=(100, 900), min_pixels=10**6)
    assert {(chunk.height_px, chunk.width_px) for chunk in planned.chunks} == {(96, 896)}


def test_a_chunk_has_its_least_frames() -> None:
    assert {chunk.num_frames for chunk in plan(Video.steady(2500), fps=0.01, min_frames=8).chunks} == {8}


def test_larger_frames_take_more_of_the_budget() -> None:
    budget = TokenBudget(16_384, 1000)
    large, small = (plan(Video.steady(25 * 120), budget=budget, max_pixels=area) for area in (786_432, 131_072))
    assert large.chunk_duration_seconds < small.chunk_duration_seconds
    assert small.chunks[0].num_frames == 120


@pytest.mark.parametrize(
    ("budget", "param", "words"),
    [
        (TokenBudget(1500, 1000), "max_pixels", "One pair of frames at 1152x640 px takes up to 739 tokens"),
        (TokenBudget(1500, 2000), "max_tokens", "1500 tokens leaves 0 for them"),
    ],
)
def test_no_pair_fits(budget: TokenBudget, param: str, words: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        plan(Video.steady(100), budget=budget)
    assert caught.value.param == param
    assert words in caught.value.message
    assert "Lower max_pixels or max_tokens" in caught.value.message


# --- nframes ----------------------------------------------------------------------------------------------------------


def test_nframes_is_per_chunk() -> None:
    planned = plan(Video.steady(25 * 200), fps=None, nframes=16)
    assert [chunk.num_frames for chunk in planned.chunks] == [16, 16, 16, 16]
    assert planned.requested_fps == pytest.approx(16 / 60)
    assert planned.notices == ()


def test_nframes_beyond_the_budget_is_said() -> None:
    planned = plan(Video.steady(25 * 118), fps=None, nframes=8, budget=budget_for(6))
    assert [chunk.num_frames for chunk in planned.chunks] == [6, 6]
    assert planned.chunk_duration_seconds == 60
    assert "did not fit" in planned.notices[0]


def test_nframes_beyond_the_video_is_said() -> None:
    planned = plan(Video.steady(50), fps=None, nframes=100)
    assert planned.chunks[0].num_frames == 50
    assert planned.notices == ("nframes is 100, and the video itself has 25 frames per second: all were taken.",)


def test_odd_nframes_is_said() -> None:
    planned = plan(Video.steady(250), fps=None, nframes=7)
    assert planned.chunks[0].num_frames == 6
    assert planned.notices == ("nframes is 7, and the model looks at frames in pairs: 6 were taken.",)


# --- Variable frame rate ----------------------------------------------------------------------------------------------


def test_irregular_frames_are_spread_over_time() -> None:
    """A second of 60 frames, then one frame each second: indices spaced evenly would stay in that first second."""
    video = Video.irregular([1 / 60] * 60 + [1.0] * 59)
    (chunk,) = plan(video, fps=1.0).chunks
    assert (chunk.pts_seconds < 1.5).sum() <= 3
    assert np.diff(chunk.pts_seconds).max() <= 2.0


def test_a_dense_part_is_not_thinned_in_silence() -> None:
    """3 frames per second on average, and 30 in the first minute, of which 10 are asked for."""
    video = Video.irregular([1 / 30] * 1800 + [2.0] * 270)
    planned = plan(video, replace(REQUEST, chunk_overlap_seconds=0), fps=10.0)
    dense = [chunk for chunk in planned.chunks if chunk.stop_seconds <= 60]
    assert sum(chunk.num_frames for chunk in dense) == pytest.approx(600, abs=2 * len(dense))


def test_a_still_part_shows_the_frame_that_stands() -> None:
    """A slide stands from 1 to 100 s."""
    video = Video.irregular([1.0, 99.0, 1.0, 1.0])
    request = replace(REQUEST, chunk_duration_seconds=20, chunk_overlap_seconds=0)
    chunks = plan(video, request).chunks
    assert [chunk.frame_indices.tolist() for chunk in chunks[1:4]] == [[1], [1], [1]]


# --- Refusals and size ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "end", "param", "words"),
    [
        (4.0, None, "video_start", "video_start is 4 s, and the video ends at 4.000 s"),
        (1e9, None, "video_start", "give a start inside the video"),
        (2.0, 2.0, "video_end", r"video_end (2 s) must be after video_start (2 s)"),
        (2.0, 1.0, "video_end", r"video_end (1 s) must be after video_start (2 s)"),
    ],
)
def test_an_empty_range_is_refused(start: float, end: float | None, param: str, words: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        plan(Video.steady(100), replace(REQUEST, video_start_seconds=start, video_end_seconds=end))
    assert caught.value.param == param
    assert words in caught.value.message


def test_too_many_chunks_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="makes more than 3 chunks, the most allowed") as caught:
        plan(Video.steady(25 * 300), max_chunks=3)
    assert caught.value.param == "chunk_duration"


def test_as_many_chunks_as_allowed() -> None:
    assert len(plan(Video.steady(25 * 200), max_chunks=4).chunks) == 4


def test_three_hours_are_planned_in_a_moment() -> None:
    video = Video.steady(3 * 3600 * 30, fps=30.0)
    began = time.process_time()
    planned = plan(video, budget=TokenBudget(65_536, 2000))
    assert time.process_time() - began < 1.0
    assert spans(planned)[-1][1] == video.info.duration_seconds
    assert sum(chunk.num_frames for chunk in planned.chunks) >= 2 * 3 * 3600


@given(st.integers(2, 20_000), st.sampled_from([12.5, 24000 / 1001, 25.0, 30000 / 1001, 60.0]), st.floats(0.05, 4))
@example(1725, 25.0, 2.0)
def test_a_chunk_of_the_whole_video_has_fetch_videos_frames(num_frames: int, source_fps: float, fps: float) -> None:
    video = Video.steady(num_frames, source_fps)
    if video.info.duration_seconds * fps > 760:
        return
    (chunk,) = plan(video, replace(REQUEST, chunk_duration_seconds=1e6), fps=fps).chunks
    count = qwen.smart_nframes({"fps": fps}, total_frames=num_frames, video_fps=video.info.fps)
    assert chunk.frame_indices.tolist() == qwen.torch.linspace(0, num_frames - 1, count).round().long().tolist()


# --- What holds for every plan ----------------------------------------------------------------------------------------


@st.composite
def videos(draw: st.DrawFn) -> Video:
    if draw(st.booleans()):
        rates = st.one_of(st.sampled_from([24000 / 1001, 25.0, 30.0, 60.0]), st.floats(0.1, 120))
        return Video.steady(draw(st.integers(1, 6000)), draw(rates))
    return Video.irregular(draw(st.lists(st.sampled_from([0.02, 0.04, 0.5, 30.0]), min_size=1, max_size=300)))


@st.composite
def requests(draw: st.DrawFn) -> ChunkingRequest:
    nframes = draw(st.one_of(st.none(), st.integers(2, 768)))
    duration = draw(st.floats(1, 300))
    bounds = sorted(draw(st.tuples(*[st.integers(FACTOR_PX**2, DEFAULT_MAX_PIXELS)] * 2)))
    sampling = FrameSampling(
        fps=None if nframes else draw(st.floats(0.001, 60)),
        nframes=nframes,
        max_frames_per_chunk=draw(st.integers(2, 768)),
        min_pixels=bounds[0],
        max_pixels=bounds[1],
        total_pixels=draw(st.integers(2 * FACTOR_PX**2, DEFAULT_TOTAL_PIXELS)),
        min_frames=draw(st.integers(2, 16)),
    )
    return ChunkingRequest(
        chunk_duration_seconds=duration,
        chunk_overlap_seconds=draw(st.floats(0, 0.95)) * duration,
        video_start_seconds=draw(st.one_of(st.just(0.0), st.floats(0, 200))),
        video_end_seconds=draw(st.one_of(st.none(), st.floats(0.01, 300))),
        frame_sampling=sampling,
    )


budgets = st.builds(TokenBudget, st.integers(1, 70_000), st.integers(1, 5000))


@settings(max_examples=400)
@given(videos(), requests(), budgets)
def test_every_plan_keeps_its_promises(video: Video, request: ChunkingRequest, budget: TokenBudget) -> None:
    try:
        planned = plan(video, request, budget, max_chunks=500)
    except InvalidRequest:
        return
    assert planned.chunk_duration_seconds <= request.chunk_duration_seconds
    _check_cover(planned, request)
    sampling = request.frame_sampling
    for chunk in planned.chunks:
        indices = chunk.frame_indices
        assert chunk_token_bound(chunk.num_frames, chunk.height_px, chunk.width_px) <= budget.vision_tokens
        assert 1 <= chunk.num_frames <= sampling.max_frames_per_chunk
        assert (np.diff(indices) > 0).all()
        assert indices[0] >= 0
        assert indices[-1] < video.info.total_frames
        assert chunk.pts_seconds[-1] < chunk.stop_seconds
        on_screen_at_start = np.searchsorted(video.pts_seconds, chunk.start_seconds + 1e-5, side="right") - 1
        assert indices[0] >= on_screen_at_start
        if not video.info.is_variable_frame_rate and chunk.num_frames % 2:
            assert chunk.num_frames == 1
    _check_rate(planned, video, request)


def _check_cover(planned: ChunkPlan, request: ChunkingRequest) -> None:
    """The chunks reach from the start to the stop, and neighbours share what was asked for."""
    starts, stops = zip(*spans(planned), strict=True)
    assert starts[0] == planned.start_seconds
    assert stops[-1] == planned.stop_seconds
    assert all(start < stop for start, stop in zip(starts, stops, strict=True))
    for start, stop in zip(starts[1:], stops[:-1], strict=True):
        assert stop - start == pytest.approx(request.chunk_overlap_seconds, abs=1e-6)


def _check_rate(planned: ChunkPlan, video: Video, request: ChunkingRequest) -> None:
    """Where a steady video's frames are fewer than asked for, a notice says so.

    An odd frame is no matter, nor is a pair of the tail that joined the last chunk.
    """
    if planned.notices or video.info.is_variable_frame_rate:
        return
    for chunk in planned.chunks:
        seconds = chunk.stop_seconds - chunk.start_seconds
        asked = request.frame_sampling.nframes or seconds * planned.requested_fps
        slack = 4 if chunk is planned.chunks[-1] else 2
        assert chunk.num_frames > min(asked, int(seconds * video.info.fps)) - slack


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
