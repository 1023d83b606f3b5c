"""The films of the truth tests are the special files that their names promise."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.config import VideoLimits
from pipeline.video.probing import probe
from tools.demo_model.scenes import frames_of
from tools.truth.clips import CODECS, KINDS, LATE_START_SECONDS, Clip, Kind, long_film, unseen_clips

SHORT = replace(long_film(3), fps=unseen_clips(1)[0].fps)


def clips(kind: Kind) -> list[Clip]:
    return [replace(SHORT, codec=codec, kind=kind) for codec in CODECS if not (kind == "rotated" and codec == "vp9")]


def coded_size(path: Path) -> tuple[int, int]:
    with av.open(str(path)) as container:
        return container.streams.video[0].width, container.streams.video[0].height


def assert_upright(clip: Clip, path: Path) -> None:
    """As FFmpeg's own player shows it, the file's first picture is the film's."""
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    shown = subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL).stdout
    (truth,) = frames_of(clip.film, [0.0])
    picture = np.frombuffer(shown, np.uint8).reshape(truth.shape)
    errors = [np.abs(np.rot90(picture, turns).astype(int) - truth).mean() for turns in (0, 2)]
    assert errors[0] < 8 < errors[1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_of_its_kind_and_codec(kind: Kind, tmp_path: Path) -> None:
    for clip in clips(kind):
        path = clip.written(tmp_path)
        probed = probe(path, fingerprint="", limits=VideoLimits())
        info = probed.info
        assert info.codec == clip.codec
        assert (info.width, info.height) == (clip.film.width_px, clip.film.height_px)
        assert info.duration_seconds == pytest.approx(clip.film.duration_seconds, abs=0.5)
        is_turned = coded_size(path) == (clip.film.height_px, clip.film.width_px)
        assert is_turned == (kind == "rotated")
        assert_upright(clip, path)
        assert info.is_variable_frame_rate == (kind == "variable")
        late = LATE_START_SECONDS if kind == "late start" else 0.0
        assert info.clock_offset_seconds == pytest.approx(late, abs=0.2)


def test_every_codec_size_and_kind_is_among_the_clips() -> None:
    seen = unseen_clips(28)
    assert {clip.codec for clip in seen} == set(CODECS)
    assert {clip.kind for clip in seen} == set(KINDS)
    assert {clip.codec for clip in seen if clip.kind != "constant"} == set(CODECS)
    assert len({clip.film for clip in seen}) == len(seen)
