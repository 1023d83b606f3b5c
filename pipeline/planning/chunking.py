"""Plan an analysis: where to cut a video, and which frames of each chunk to sample. Arithmetic only.

If `requested_fps` does not fit the frame or token budget of one engine request, chunks get shorter first, so that every
requested frame is still sampled. Only when chunks can get no shorter does the rate fall, and the plan says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InvalidRequest
from pipeline.planning.frame_sampling import (
    ceil_even,
    floor_even,
    frames_for_fps,
    sample_indices,
    sample_indices_in_time,
)
from pipeline.planning.visual_tokens import TEMPORAL_PATCH, chunk_token_bound, frame_size, given_frame_size
from pipeline.types import Chunk, ChunkingRequest, ChunkPlan, FrameSampling, PictureTreatment, TokenBudget, VideoInfo
from pipeline.video.packet_index import PacketIndex

SHORTEST_CHUNK_SECONDS = 2.0
"""A budget cuts no chunk shorter than this, nor shorter than twice its overlap."""
PTS_TOLERANCE_SECONDS = 1e-6
"""Below any container's clock tick; absorbs the rounding of pts x time_base."""
KEY_FRAME_SHARE = 0.1
"""How much earlier a chunk may start to begin at a key frame, as a share of the distance between chunks: at most a
ninth more chunks result."""
COUNT_ROUNDING = 1e-6
"""Absorbs the rounding of rate x time."""


@dataclass(frozen=True)
class _Cut:
    """The parameters of all chunks of a plan."""

    duration_seconds: float
    fps: float
    """Frames sampled per second at most; `planned_fps` where the video has as many."""
    max_frames: int
    height_px: int
    width_px: int


def plan_chunks(
    video: VideoInfo,
    pts_seconds: NDArray[np.float64],
    request: ChunkingRequest,
    budget: TokenBudget,
    *,
    max_chunks: int,
    packet_index: PacketIndex | None = None,
) -> ChunkPlan:
    """Cut `video`, whose frames are shown at `pts_seconds` (N,), into chunks that fit `budget`.

    With a `packet_index`, each chunk also lists the packets that contain its frames. It starts at a key frame if one is
    near, so that decoding it needs no earlier packets.

    Raises InvalidRequest if the range is empty, or not even a pair of frames fits.
    """
    start, stop = _range(video, request)
    requested_fps = _requested_fps(video, request, stop - start)
    cut = _cut(video, request, budget, requested_fps, stop - start)
    key_seconds = pts_seconds[packet_index.key_frames] if packet_index else np.empty(0)
    spans = _spans(start, stop, cut, request, pts_seconds, key_seconds, max_chunks)
    chunks = tuple(_chunk(i, span, video, pts_seconds, request, cut, packet_index) for i, span in enumerate(spans))
    return ChunkPlan(
        video=video,
        chunks=chunks,
        start_seconds=start,
        stop_seconds=stop,
        chunk_duration_seconds=cut.duration_seconds,
        requested_fps=requested_fps,
        planned_fps=min(cut.fps, video.fps),
        notices=tuple(_notices(video, request, requested_fps, cut, stop - start)),
    )


def _range(video: VideoInfo, request: ChunkingRequest) -> tuple[float, float]:
    start, end = request.video_start_seconds, request.video_end_seconds
    if start >= video.duration_seconds:
        raise InvalidRequest(
            f"video_start is {start:g} s, and the video ends at {video.duration_seconds:.3f} s; "
            "give a start inside the video.",
            param="video_start",
        )
    stop = video.duration_seconds if end is None else min(end, video.duration_seconds)
    if stop <= start:
        raise InvalidRequest(f"video_end ({end:g} s) must be after video_start ({start:g} s).", param="video_end")
    return start, stop


def _requested_fps(video: VideoInfo, request: ChunkingRequest, range_seconds: float) -> float:
    sampling = request.frame_sampling
    if sampling.nframes is not None:
        return sampling.nframes / min(request.chunk_duration_seconds, range_seconds)
    return video.fps if sampling.fps is None else sampling.fps


def _cut(
    video: VideoInfo, request: ChunkingRequest, budget: TokenBudget, requested_fps: float, range_seconds: float
) -> _Cut:
    sampling = request.frame_sampling
    # A video has no more frames than its own rate says; but an average says nothing about a part.
    most_fps = requested_fps if video.is_variable_frame_rate else min(requested_fps, video.fps)
    duration = request.chunk_duration_seconds
    seconds = min(duration, range_seconds)
    if sampling.takes_all:
        needed_frames = ceil_even(_most_frames(most_fps, seconds))
    else:
        needed_frames = max(sampling.min_frames, floor_even(math.ceil(most_fps * seconds)))
    max_frames = _frames_that_fit(min(needed_frames, sampling.max_frames_per_chunk), video, sampling, budget)
    if needed_frames > max_frames and sampling.nframes is None:
        shortest = min(duration, max(SHORTEST_CHUNK_SECONDS, 2 * request.chunk_overlap_seconds))
        duration = min(duration, max(shortest, max_frames / most_fps))
    seconds = min(duration, range_seconds)
    if sampling.takes_all:
        needed_frames = _most_frames(most_fps, seconds)
    else:
        needed_frames = floor_even(int(most_fps * seconds + COUNT_ROUNDING))
    fps = max_frames / seconds if needed_frames > max_frames else requested_fps
    height, width = _size(video, sampling, max_frames)
    return _Cut(duration, fps, max_frames, height, width)


def _most_frames(fps: float, seconds: float) -> int:
    """The most frames that can appear in this time, whenever it starts."""
    return math.ceil(fps * seconds - COUNT_ROUNDING)


def _frames_that_fit(num_frames: int, video: VideoInfo, sampling: FrameSampling, budget: TokenBudget) -> int:
    """The largest even count, at most `num_frames`, whose tokens fit. It searches: fewer frames may each be larger."""
    for count in range(max(TEMPORAL_PATCH, floor_even(num_frames)), 0, -TEMPORAL_PATCH):
        height, width = _size(video, sampling, count)
        needed = chunk_token_bound(count, height, width)
        if needed <= budget.vision_tokens:
            return count
    raise InvalidRequest(
        f"One pair of frames at {width}x{height} px takes up to {needed} tokens, and the model's context of "
        f"{budget.max_model_len} tokens leaves {max(0, budget.vision_tokens)} for them beside the prompt and "
        "max_tokens. Lower max_pixels or max_tokens, or shorten the prompt.",
        param="max_pixels" if budget.vision_tokens > 0 else "max_tokens",
    )


def _size(video: VideoInfo, sampling: FrameSampling, num_frames: int) -> tuple[int, int]:
    if sampling.resized_px is not None:
        return given_frame_size(*sampling.resized_px)
    return frame_size(
        video.height,
        video.width,
        num_frames,
        min_pixels=sampling.min_pixels,
        max_pixels=sampling.max_pixels,
        total_pixels=sampling.total_pixels,
    )


def _spans(
    start: float,
    stop: float,
    cut: _Cut,
    request: ChunkingRequest,
    pts_seconds: NDArray[np.float64],
    key_seconds: NDArray[np.float64],
    max_chunks: int,
) -> list[tuple[float, float]]:
    """(start, stop) of each chunk. Each overlaps the next one as requested, and is at most as long as requested. Only a
    rest too short for a pair of frames makes the last chunk longer.
    """
    overlap_seconds = request.chunk_overlap_seconds
    stride = cut.duration_seconds - overlap_seconds
    spans: list[tuple[float, float]] = []
    chunk_start = start
    while True:
        if len(spans) == max_chunks:
            raise InvalidRequest(
                f"{stop - start:.0f} s of video in chunks of {cut.duration_seconds:g} s with {overlap_seconds:g} s "
                f"overlap makes more than {max_chunks} chunks, the most allowed. Raise chunk_duration or narrow "
                "video_start and video_end.",
                param="chunk_duration",
            )
        next_start = chunk_start + stride
        if request.frame_sampling.takes_all:
            rest_joins = _num_before(pts_seconds, next_start + overlap_seconds) >= _num_before(pts_seconds, stop)
        else:
            rest_joins = stop - (next_start + overlap_seconds) < TEMPORAL_PATCH / cut.fps
        if rest_joins:
            return [*spans, (chunk_start, stop)]
        next_start = _at_key_frame(next_start, stride * KEY_FRAME_SHARE, key_seconds)
        spans.append((chunk_start, next_start + overlap_seconds))
        chunk_start = next_start


def _at_key_frame(seconds: float, tolerance_seconds: float, key_seconds: NDArray[np.float64]) -> float:
    """The last key frame at `seconds`, or before it within the tolerance; `seconds` itself if there is none."""
    place = int(np.searchsorted(key_seconds, seconds + PTS_TOLERANCE_SECONDS)) - 1
    if place >= 0 and key_seconds[place] >= seconds - tolerance_seconds:
        return float(key_seconds[place])
    return seconds


def _num_before(pts_seconds: NDArray[np.float64], seconds: float) -> int:
    return int(np.searchsorted(pts_seconds, seconds - PTS_TOLERANCE_SECONDS))


def _chunk(
    index: int,
    span: tuple[float, float],
    video: VideoInfo,
    pts_seconds: NDArray[np.float64],
    request: ChunkingRequest,
    cut: _Cut,
    packet_index: PacketIndex | None,
) -> Chunk:
    start, stop = span
    first = _num_before(pts_seconds, start)
    last = _num_before(pts_seconds, stop) - 1
    if video.is_variable_frame_rate or first > last:
        first = max(0, int(np.searchsorted(pts_seconds, start + PTS_TOLERANCE_SECONDS)) - 1)  # still on the screen
        last = max(first, last)
    available = last - first + 1
    # Not frames / fps, as in fetch_video: at an average of 25.02 fps, 10 s would give 19 frames, and so 18.
    seconds = round(stop - start, 6)
    count = _num_frames(available, seconds, request.frame_sampling, cut)
    if video.is_variable_frame_rate:
        indices = sample_indices_in_time(pts_seconds, first, last, count)
    else:
        indices = sample_indices(first, last, count)
    return Chunk(
        index=index,
        start_seconds=start,
        stop_seconds=stop,
        frame_indices=indices,
        pts_seconds=pts_seconds[indices],
        clock_offset_seconds=video.clock_offset_seconds,
        height_px=cut.height_px,
        width_px=cut.width_px,
        packet_runs=packet_index.runs(indices) if packet_index else (),
        treatment=PictureTreatment(tone_mapped_from=video.hdr_transfer, is_deinterlaced=video.is_interlaced),
    )


def _num_frames(available: int, seconds: float, sampling: FrameSampling, cut: _Cut) -> int:
    if sampling.takes_all:
        return min(available, cut.max_frames)
    if sampling.nframes is not None:
        even = floor_even(min(sampling.nframes, cut.max_frames, available))
        return even or min(available, TEMPORAL_PATCH)
    return frames_for_fps(available, seconds, cut.fps, cut.max_frames, sampling.min_frames)


def _notices(
    video: VideoInfo, request: ChunkingRequest, requested_fps: float, cut: _Cut, range_seconds: float
) -> Iterator[str]:
    nframes = request.frame_sampling.nframes
    if video.hdr_transfer:
        yield (
            f"The video is HDR ({video.hdr_transfer}): its frames are tone-mapped to SDR, except in chunks for which a "
            "notice says otherwise."
        )
    if video.is_interlaced:
        yield (
            "The video is interlaced: its frames are deinterlaced, except in chunks for which a notice says otherwise."
        )
    if requested_fps > video.fps and cut.fps >= requested_fps:
        requested = f"fps is {requested_fps:g}" if nframes is None else f"nframes is {nframes}"
        outcome = " on average: none was taken twice." if video.is_variable_frame_rate else ": all were taken."
        yield f"{requested}, and the video itself has {video.fps:g} frames per second{outcome}"
    if nframes is not None and nframes % TEMPORAL_PATCH and nframes <= cut.max_frames + 1:
        yield f"nframes is {nframes}, and the model looks at frames in pairs: {floor_even(nframes)} were taken."
    if cut.duration_seconds < min(request.chunk_duration_seconds, range_seconds):
        yield (
            f"Chunks of {request.chunk_duration_seconds:g} s did not fit {cut.max_frames} frames, the most that one "
            f"engine request takes here; they were cut to {cut.duration_seconds:g} s."
        )
    if cut.fps < requested_fps:
        yield (
            f"{requested_fps:g} frames per second did not fit the frame or token budget even in chunks of "
            f"{cut.duration_seconds:g} s; {cut.fps:g} were looked at."
        )
