"""The ways to decode that are compared. Each prepares, and gives the work that is measured.

Work hands (indices (T,), frames (T, H, W, 3)) on as soon as it has them; who takes them decides whether they are kept.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from uuid import uuid4
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from pipeline.config import DecodingSettings, VideoLimits
from pipeline.decoding.chunk_decoder import ChunkDecoder
from pipeline.decoding.isolated_backends import IsolatedBackends, decoding_process
from pipeline.planning.chunking import plan_chunks
from pipeline.planning.visual_tokens import DEFAULT_MAX_PIXELS, DEFAULT_MIN_PIXELS, DEFAULT_TOTAL_PIXELS
from pipeline.types import Chunk, ChunkingRequest, DecodedFrames, FrameSampling, TokenBudget
from pipeline.video.probing import ProbedVideo, probe

Take = Callable[[NDArray[np.int64], NDArray[np.uint8]], None]
Work = Callable[[Take], None]

CHUNK_SECONDS = 60.0
ORDER = DecodingSettings().backend_order


# --- The four methods of torchcodec's tutorial on parallel decoding ---------------------------------------------------


def sequential(path: Path, every: int) -> Work:
    return ffmpeg_threads(path, every, 1)


def ffmpeg_threads(path: Path, every: int, num_threads: int) -> Work:
    indices = _indices(path, every)
    _decoded(path, indices[:2], num_threads)

    def work(take: Take) -> None:
        take(indices, _decoded(path, indices, num_threads))

    return work


def processes(path: Path, every: int, num_workers: int) -> Work:
    parts = np.array_split(_indices(path, every), num_workers)
    pool = get_context("spawn").Pool(num_workers)
    pool.starmap(_decoded, [(path, parts[0][:2], 1)] * num_workers, chunksize=1)  # who is warm costs nothing more

    def work(take: Take) -> None:
        took = pool.starmap(_decoded, [(path, part, 1) for part in parts], chunksize=1)
        take(np.concatenate(parts), np.concatenate(took))

    return work


def threads(path: Path, every: int, num_workers: int) -> Work:
    parts = np.array_split(_indices(path, every), num_workers)
    _decoded(path, parts[0][:2], 1)
    pool = ThreadPoolExecutor(num_workers)

    def work(take: Take) -> None:
        took = list(pool.map(lambda part: _decoded(path, part, 1), parts))
        take(np.concatenate(parts), np.concatenate(took))

    return work


def _decoded(path: Path, indices: NDArray[np.int64], num_threads: int) -> NDArray[np.uint8]:
    from torchcodec.decoders import VideoDecoder  # noqa: PLC0415

    decoder = VideoDecoder(str(path), num_ffmpeg_threads=num_threads, seek_mode="approximate", dimension_order="NHWC")
    frames: NDArray[np.uint8] = decoder.get_frames_at(indices.tolist()).data.numpy()
    return frames


def _indices(path: Path, every: int) -> NDArray[np.int64]:
    return np.arange(0, _probed(path).info.total_frames, every)


# --- Qwen's own preprocessing -----------------------------------------------------------------------------------------


def fetch_video(path: Path, nframes: int, num_threads: int) -> Work:
    os.environ["TORCHCODEC_NUM_THREADS"] = str(num_threads)
    from qwen_vl_utils import vision_process as qwen  # noqa: PLC0415

    asked = {"video": str(path), "nframes": nframes}
    qwen.fetch_video({**asked, "nframes": 4}, image_patch_size=16)

    def work(take: Take) -> None:
        pixels, metadata = qwen.fetch_video(asked, image_patch_size=16, return_video_metadata=True)
        take(np.array(metadata["frames_indices"]), pixels.permute(0, 2, 3, 1).numpy())

    return work


# --- FFmpeg alone -----------------------------------------------------------------------------------------------------


def raw_ffmpeg(path: Path) -> Work:
    """All pictures, none of them kept or converted."""
    command = ["ffmpeg", "-v", "error", "-threads", "1", "-i", str(path), "-map", "0:v", "-f", "null", "-"]

    def work(take: Take) -> None:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)

    return work


# --- Longtake ---------------------------------------------------------------------------------------------------------


def replicas(path: Path, every: int, num_workers: int) -> Work:
    """As FrameDecoder replicas have it: a chunk at a time, in a process each, frames in shared memory. Full size."""
    video = _probed(path)
    indices = _indices(path, every)
    return _by_replicas(path, video, [_chunk(video, part) for part in _in_chunks(video, indices)], num_workers)


def replica(path: Path, nframes: int) -> Work:
    """The same, by one of them, at the size that fetch_video chooses."""
    video, whole = _whole(path, nframes)
    parts = _in_chunks(video, whole.frame_indices)
    return _by_replicas(path, video, [_chunk(video, part, (whole.height_px, whole.width_px)) for part in parts], 1)


def _by_replicas(path: Path, video: ProbedVideo, chunks: list[Chunk], num_workers: int) -> Work:
    node = uuid4().hex  # the replicas of one share a host
    workers = [decoding_process(node) for _ in range(num_workers)]

    def decoded(worker: int, chunk: Chunk) -> DecodedFrames:
        with closing(IsolatedBackends(workers[worker], path, video.info)) as backends:
            return ChunkDecoder(backends, ORDER).decode(chunk)

    for worker in range(num_workers):
        decoded(worker, _chunk(video, chunks[0].frame_indices[:2]))
    pool = ThreadPoolExecutor(num_workers)

    def work(take: Take) -> None:
        waiting = iter(chunks)

        def serve(worker: int) -> None:
            for chunk in waiting:
                take(chunk.frame_indices, decoded(worker, chunk).frames)

        list(pool.map(serve, range(num_workers)))

    return work


def one_chunk(path: Path, nframes: int) -> Work:
    """The whole video as one chunk in this process, every frame kept until the last is there, as fetch_video has it."""
    import torch  # noqa: PLC0415

    from pipeline.decoding.backends import InProcessBackends  # noqa: PLC0415

    torch.set_num_threads(1)  # as a decoding worker has it
    _, chunk = _whole(path, nframes)

    def work(take: Take) -> None:
        with closing(InProcessBackends(path)) as backends:
            take(chunk.frame_indices, ChunkDecoder(backends, ORDER).decode(chunk).frames)

    return work


def _whole(path: Path, nframes: int) -> tuple[ProbedVideo, Chunk]:
    """All that is asked of a video, as one chunk at the size that fetch_video chooses."""
    video = _probed(path)
    sampling = FrameSampling(None, nframes, nframes, DEFAULT_MIN_PIXELS, DEFAULT_MAX_PIXELS, DEFAULT_TOTAL_PIXELS, 4)
    request = ChunkingRequest(10**6, 0.0, 0.0, None, sampling)
    plan = plan_chunks(
        video.info, video.pts_seconds, request, TokenBudget(10**9, 0), max_chunks=1, packet_index=video.packet_index
    )
    return video, plan.chunks[0]


def planned_pictures(path: Path, every: int) -> Work:
    """The sampled pictures as RGB, none of them resized or kept: what decoding alone takes."""
    video = _probed(path)
    chunk = _chunk(video, _indices(path, every))
    from pipeline.decoding.planned_decoder import PlannedDecoder  # noqa: PLC0415

    def work(take: Take) -> None:
        with closing(PlannedDecoder(path)) as decoder:
            for position, frame in decoder.frames(chunk):
                take(chunk.frame_indices[[position]], frame[None])

    return work


def _probed(path: Path) -> ProbedVideo:
    return probe(path, fingerprint="", limits=VideoLimits())


def _in_chunks(video: ProbedVideo, indices: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    return np.array_split(indices, -(-round(video.info.duration_seconds) // round(CHUNK_SECONDS)))


def _chunk(video: ProbedVideo, indices: NDArray[np.int64], size_px: tuple[int, int] | None = None) -> Chunk:
    """Those frames, (height, width) as given or as the video has them."""
    height_px, width_px = size_px or (video.info.height, video.info.width)
    seconds = video.pts_seconds[indices]
    assert video.packet_index is not None
    return Chunk(
        index=0,
        start_seconds=float(seconds[0]),
        stop_seconds=float(seconds[-1]) + 1 / video.info.fps,
        frame_indices=indices,
        pts_seconds=seconds,
        clock_offset_seconds=video.info.clock_offset_seconds,
        height_px=height_px,
        width_px=width_px,
        packet_runs=video.packet_index.runs(indices),
    )


def checksums(work: Work) -> dict[int, int]:
    """Of each frame, by its index."""
    found: dict[int, int] = {}

    def take(indices: NDArray[np.int64], frames: NDArray[np.uint8]) -> None:
        for index, frame in zip(indices.tolist(), frames, strict=True):
            found[index] = crc32(np.ascontiguousarray(frame, np.uint8).tobytes())

    work(take)
    return found


def drop(_indices: NDArray[np.int64], _frames: NDArray[np.uint8]) -> None:
    """Takes frames, and keeps none."""
