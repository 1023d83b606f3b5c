"""Pictures become RGB, the way up that the file asks for."""

from __future__ import annotations

import av
import numpy as np
import pytest

from pipeline.decoding.rgb import RgbConverter
from pipeline.types import HdrTransfer
from tests.clips import CLIPS, ClipFolder, number_of, picture


def first_picture(clips: ClipFolder, name: str) -> av.VideoFrame:
    with av.open(clips.path(name)) as container:
        return next(container.decode(video=0))


@pytest.mark.parametrize("name", ["h264", "rotated", "rotated_back", "upside_down"])
def test_pictures_are_turned_as_a_player_turns_them(name: str, clips: ClipFolder) -> None:
    clip = CLIPS[name]
    rgb = RgbConverter()(first_picture(clips, name))
    assert rgb.shape == (clip.height, clip.width, 3)
    assert rgb.dtype == np.uint8
    assert rgb.flags.c_contiguous
    assert number_of(rgb, clip.quarter_turns) == clip.first_number


def test_colours_are_those_that_were_drawn(clips: ClipFolder) -> None:
    rgb = RgbConverter()(first_picture(clips, "h264"))
    assert np.abs(rgb.astype(int) - picture(0, 192, 128)).mean() < 8


def test_a_converter_takes_pictures_of_any_size_and_format(clips: ClipFolder) -> None:
    to_rgb = RgbConverter()
    for name in ("h264", "ten_bit", "odd_size", "h264"):
        clip = CLIPS[name]
        assert to_rgb(first_picture(clips, name)).shape == (clip.height, clip.width, 3)


def test_hdr_is_mapped_only_if_its_transfer_is_named(clips: ClipFolder) -> None:
    drawn = picture(0, 192, 128)
    hdr = first_picture(clips, "pq")
    raw, mapped = (
        np.abs(RgbConverter()(hdr, transfer).astype(int) - drawn).mean() for transfer in (None, HdrTransfer.PQ)
    )
    assert mapped < 0.6 * raw
