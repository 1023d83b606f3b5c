"""Damage that FFmpeg conceals shows in the report of the chunk."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.config import VideoLimits
from pipeline.errors import LongtakeError
from pipeline.isolation.process import IsolatedProcess
from pipeline.video.frame_lists import frame_list_video
from tests.clips import CLIPS, ClipFolder
from tests.images import drawn, encoded
from tests.pipeline.decoding.chunks import decoded, decoded_apart, planned


def test_a_damaged_image_of_a_list_is_told(process: IsolatedProcess, tmp_path: Path) -> None:
    images = [encoded(drawn(number)) for number in range(6)]
    images[3] = images[3][:-300]
    path = tmp_path / "list.mov"
    path.write_bytes(frame_list_video(images, sample_fps=2.0, limits=VideoLimits(max_list_frames=6)))
    reports = [result.report for result in decoded_apart(path, planned(path, seconds=1.0, overlap=0), process)]
    assert [report.is_damaged or bool(report.missing_pts_seconds) for report in reports] == [False, True, False]


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
