"""Every backend delivers the planned frames, pixel by pixel, or says why it cannot."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from _pytest.mark import ParameterSet
from qwen_vl_utils import vision_process as qwen

from pipeline.decoding.backends import InProcessBackends
from pipeline.decoding.chunk_decoder import ChunkDecoder
from pipeline.errors import DecodeFailed
from tests.clips import CLIPS, BrokenFiles, ClipFolder, real_clip
from tests.pipeline.decoding.chunks import ON_CPU, ORDER, QWENS, check_numbers, decoded, planned
from tests.pipeline.decoding.known_limits import OTHER_COLOURS, REFUSED, WRONG_COLOURS, WRONG_FRAMES


def known_wrong(backend: str, name: str, reason: str) -> ParameterSet:
    return pytest.param(backend, name, marks=pytest.mark.xfail(reason=reason, raises=AssertionError))


@pytest.mark.parametrize(
    ("backend", "name"),
    [
        known_wrong(*case, WRONG_FRAMES[case]) if case in WRONG_FRAMES else pytest.param(*case)
        for case in product(ON_CPU, CLIPS)
    ],
)
def test_backend_brings_the_planned_frames(backend: str, name: str, clips: ClipFolder) -> None:
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
    known = WRONG_FRAMES | WRONG_COLOURS
    backends = [backend for backend in ON_CPU if name not in REFUSED[backend] and (backend, name) not in known]
    check_agreement(name, clips.path(name), backends)


@pytest.mark.parametrize(("backend", "name"), [known_wrong(*case, reason) for case, reason in WRONG_COLOURS.items()])
def test_known_wrong_colours_agree_on_every_pixel(backend: str, name: str, clips: ClipFolder) -> None:
    check_agreement(name, clips.path(name), ["pyav", backend])


def check_agreement(name: str, path: Path, backends: Sequence[str]) -> None:
    chunks = planned(path).chunks
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
