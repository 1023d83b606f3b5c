"""A plan contains the packets of every requested frame, and no others."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import VideoLimits
from pipeline.types import PacketRun
from pipeline.video.packet_index import PacketIndex
from pipeline.video.probing import probe
from tests.clips import CLIPS, WITHOUT_INDEX, ClipFolder


def index_of(*groups: list[int]) -> PacketIndex:
    """Of groups of pictures, each given by its presentation times in the order of decoding."""
    pts_ticks = np.concatenate([np.array(group, np.int64) for group in groups])
    key_places = np.cumsum([0, *map(len, groups)])[:-1]
    return PacketIndex(pts_ticks, key_places, pts_ticks[key_places] * 10)


CLOSED = index_of([0, 3, 1, 2], [4, 7, 5, 6], [8, 11, 9, 10])
OPEN = index_of([0, 3, 1, 2], [6, 4, 5, 9, 7, 8])
"""4 and 5 are shown before the key frame 6, and may refer to 3."""


def test_a_run_ends_with_the_last_packet_that_is_needed() -> None:
    assert CLOSED.runs(np.array([4, 5])) == (PacketRun(40, 4, 5, 3),)
    assert CLOSED.runs(np.array([7])) == (PacketRun(40, 4, 7, 2),)
    assert CLOSED.runs(np.array([8])) == (PacketRun(80, 8, 8, 1),)


def test_groups_without_a_frame_that_was_asked_for_are_passed_over() -> None:
    assert CLOSED.runs(np.array([1, 9])) == (PacketRun(0, 0, 1, 3), PacketRun(80, 8, 9, 3))


def test_groups_that_follow_each_other_whole_are_one_run() -> None:
    assert CLOSED.runs(np.array([2, 6])) == (PacketRun(0, 0, 6, 8),)


def test_a_frame_shown_before_its_key_frame_needs_the_group_before() -> None:
    assert OPEN.runs(np.array([4])) == (PacketRun(0, 0, 4, 6),)
    assert OPEN.runs(np.array([6])) == (PacketRun(60, 6, 6, 1),)
    assert OPEN.runs(np.array([9])) == (PacketRun(60, 6, 9, 4),)


@st.composite
def indexes(draw: st.DrawFn) -> PacketIndex:
    """Groups of pictures in any order of decoding, some of whose frames are shown before their key frame."""
    groups: list[list[int]] = []
    shown = 0
    for size in draw(st.lists(st.integers(1, 8), min_size=1, max_size=6)):
        times = list(range(shown, shown + size))
        leading = draw(st.integers(0, min(2, size - 1))) if groups else 0
        rest = [time for time in times if time != times[leading]]
        groups.append([times[leading], *draw(st.permutations(rest))])
        shown += size
    return index_of(*groups)


@given(indexes(), st.data())
def test_any_plan_has_all_it_needs_and_nothing_twice(index: PacketIndex, data: st.DataObject) -> None:
    num_frames = len(index.pts_ticks)
    asked = data.draw(st.sets(st.integers(0, num_frames - 1), min_size=1))
    fed: list[int] = []
    for run in index.runs(np.array(sorted(asked))):
        (first,) = np.flatnonzero(index.pts_ticks == run.first_pts_ticks)
        places = list(range(first, first + run.num_packets))
        assert first in index.key_places
        assert index.pts_ticks[places[-1]] == run.last_pts_ticks
        fed += places
    assert fed == sorted(set(fed))
    assert asked <= set(index.pts_ticks[fed].tolist())
    for place in fed:
        group = np.searchsorted(index.key_places, place, side="right") - 1
        start, stop = (*index.key_places, num_frames)[group : group + 2]
        in_group = set(index.pts_ticks[start:stop].tolist())
        needed_after = set(index.pts_ticks[place:stop].tolist()) & asked
        next_key = index.pts_ticks[stop] if stop < num_frames else num_frames
        next_group = index.pts_ticks[stop:]
        needed_by_next = {time for time in next_group.tolist() if time < next_key} & asked
        assert needed_after or needed_by_next, f"{place} in {in_group} is fed for nothing"


# --- Which videos have one --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CLIPS)
def test_only_videos_that_can_be_planned_by_have_an_index(name: str, clips: ClipFolder) -> None:
    video = probe(clips.path(name), fingerprint="bytes", limits=VideoLimits())
    assert (video.packet_index is None) == (name in WITHOUT_INDEX)
    if video.packet_index:
        assert len(video.packet_index.pts_ticks) == video.info.total_frames
        assert (np.diff(np.sort(video.packet_index.pts_ticks)) > 0).all()


def test_key_frames_are_where_the_encoder_put_them(clips: ClipFolder) -> None:
    index = probe(clips.path("h264"), fingerprint="bytes", limits=VideoLimits()).packet_index
    assert index is not None
    assert index.key_places.tolist() == [0, 30, 60, 90]
