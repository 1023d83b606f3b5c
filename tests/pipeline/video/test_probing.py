"""Probe clips with known properties, and incomplete files."""

from __future__ import annotations

import re
import struct
from contextlib import suppress
from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.config import VideoLimits
from pipeline.errors import LongtakeError, UnreadableVideo, UnsupportedMedia, VideoTooLong
from pipeline.video.probing import ProbedVideo, probe
from tests.clips import CLIPS, X264, BrokenFiles, ClipFolder, ffmpeg, real_clip
from tests.pipeline.decoding.chunks import planned

CONTAINERS = {
    ".mp4": "mov,mp4,m4a,3gp,3g2,mj2",
    ".mov": "mov,mp4,m4a,3gp,3g2,mj2",
    ".ts": "mpegts",
    ".mpg": "mpeg",
    ".mkv": "matroska,webm",
    ".webm": "matroska,webm",
}
MPEG_TS_START_SECONDS = 1.4
"""ffmpeg's muxer adds this."""


def probed(path: Path, **limits: object) -> ProbedVideo:
    return probe(path, fingerprint="bytes", limits=VideoLimits.model_validate(limits))


@pytest.mark.parametrize("name", CLIPS)
def test_every_clip_is_described_as_it_was_made(name: str, clips: ClipFolder) -> None:
    clip, path = CLIPS[name], clips.path(name)
    video = probed(path)
    info = video.info
    assert (info.width, info.height) == (clip.width, clip.height)
    assert info.total_frames == clip.num_frames
    assert info.fps == pytest.approx(clip.average_fps, rel=1e-3)
    assert info.duration_seconds == pytest.approx(clip.duration_seconds, abs=2e-3)
    assert info.codec == clip.codec
    assert info.container == CONTAINERS.get(path.suffix, path.suffix[1:])
    assert info.is_variable_frame_rate == (clip.gap_every is not None)
    assert info.size_bytes == path.stat().st_size
    assert info.fingerprint == "bytes"
    assert video.pts_seconds == pytest.approx(clip.pts_seconds, abs=1e-3)  # Matroska's clock ticks each millisecond
    assert video.pts_seconds[0] == 0


@pytest.mark.parametrize(
    ("name", "offset"), [("late_mkv", 5.0), ("late_ts", 7.0 + MPEG_TS_START_SECONDS), ("h264", 0.0)]
)
def test_the_containers_clock_is_kept(name: str, offset: float, clips: ClipFolder) -> None:
    assert probed(clips.path(name)).info.clock_offset_seconds == pytest.approx(offset, abs=0.1)


@pytest.mark.parametrize(
    ("name", "size", "num_frames", "fps"),
    [
        ("bigbuckbunny.mp4", (1280, 720), 132, 25.0),
        ("bikes.mp4", (640, 272), 250, 25.0),
        ("carphone_pristine.mp4", (176, 144), 120, 30000 / 1001),
    ],
)
def test_real_clips(name: str, size: tuple[int, int], num_frames: int, fps: float) -> None:
    info = probed(real_clip(name)).info
    assert (info.width, info.height) == size
    assert info.total_frames == num_frames
    assert info.fps == pytest.approx(fps, rel=1e-3)
    assert not info.is_variable_frame_rate


# --- Files that promise more than they hold ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["h264", "mkv", "vp9", "mpeg4"])
@pytest.mark.parametrize("share", [0.6, 0.8])
def test_a_file_that_was_cut_off_is_refused(name: str, share: float, broken_files: BrokenFiles) -> None:
    with pytest.raises(
        UnreadableVideo, match=r"promises (\d+) frames, and the file holds (\d+): it was cut off"
    ) as caught:
        probed(broken_files.cut_off(name, share))
    numbers = [int(number) for number in re.findall(r"\d+", caught.value.message)]
    assert numbers[0] == pytest.approx(100, abs=3)
    assert numbers[1] == pytest.approx(100 * share, abs=16)
    assert "send it again" in caught.value.message


def test_a_fragment_that_was_cut_off_is_refused(broken_files: BrokenFiles) -> None:
    with pytest.raises(UnreadableVideo, match="promises 60 frames, and the file holds 54"):
        probed(broken_files.cut_off("fragmented"))


def test_a_transport_stream_promises_nothing(broken_files: BrokenFiles) -> None:
    assert 50 < probed(broken_files.cut_off("ts")).info.total_frames < 70


def test_two_frames_of_a_hundred_are_tolerated(clips: ClipFolder, tmp_path: Path) -> None:
    """A recorder that is switched off may leave the last ones out."""
    front = tmp_path / "front.mp4"
    ffmpeg("-i", clips.path("h264"), "-c", "copy", "-movflags", "+faststart", front)
    with av.open(front) as container:
        entries = container.streams.video[0].index_entries
        second_last = entries[len(entries) - 2].pos
    short = tmp_path / "short.mp4"
    short.write_bytes(front.read_bytes()[:second_last])
    assert probed(short).info.total_frames == 98


def test_what_an_edit_list_cuts_away_is_not_missed(clips: ClipFolder, tmp_path: Path) -> None:
    """As a phone trims: the file holds 100 frames, and its edit list shows the second from 2.6 s on."""
    content = bytearray(clips.path("h264").read_bytes())
    entry = content.index(b"elst") + 12
    content[entry : entry + 8] = struct.pack(">Ii", 1000, int(2.6 * 12_800) + 1024)
    trimmed = tmp_path / "trimmed.mp4"
    trimmed.write_bytes(content)
    assert probed(trimmed).info.total_frames == 25


def test_repeated_frames_of_an_avi_are_not_missed(clips: ClipFolder, tmp_path: Path) -> None:
    """Its header counts 140: a frame that stands longer is repeated, by a packet that is not there."""
    path = tmp_path / "vfr.avi"
    ffmpeg("-i", clips.path("vfr"), "-c:v", "mpeg4", "-vsync", "passthrough", path)
    info = probed(path).info
    assert info.total_frames == 100
    assert info.is_variable_frame_rate


def test_a_last_frame_that_stands_long_is_no_gap(clips: ClipFolder, tmp_path: Path) -> None:
    path = tmp_path / "long_last.mkv"
    with av.open(clips.path("h264")) as source, av.open(path, "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.pts == 99 * 512:
                packet.duration = 20 * 12_800
            packet.stream = stream
            if packet.size:
                target.mux(packet)
    assert probed(path).info.total_frames == 100


# --- What is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["empty", "text", "playlist"])
def test_what_is_no_video_is_refused(name: str, broken_files: BrokenFiles) -> None:
    path: Path = getattr(broken_files, name)()
    with pytest.raises(UnsupportedMedia, match="not a video in a container that is allowed here") as caught:
        probed(path)
    assert str(path) not in caught.value.message


def test_sound_alone_is_refused(broken_files: BrokenFiles) -> None:
    with pytest.raises(UnsupportedMedia, match="The file has audio streams and no video stream"):
        probed(broken_files.audio_only())


def test_an_mp4_without_its_index_is_refused(broken_files: BrokenFiles) -> None:
    path = broken_files.without_index()
    with pytest.raises(UnreadableVideo, match=r"cannot be read .*was cut off") as caught:
        probed(path)
    assert str(path.parent) not in caught.value.message


def test_a_codec_that_is_not_allowed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "old.avi"
    ffmpeg("-f", "lavfi", "-i", "testsrc=size=64x64:rate=5:duration=1", "-c:v", "msmpeg4v2", path)
    with pytest.raises(UnsupportedMedia, match="codec is msmpeg4v2; allowed here are av1, h264"):
        probed(path)


def test_a_codec_that_nobody_knows_is_refused(clips: ClipFolder, tmp_path: Path) -> None:
    path = tmp_path / "unknown.mp4"
    path.write_bytes(clips.path("h264").read_bytes().replace(b"avc1", b"zzz9"))
    with pytest.raises(UnsupportedMedia, match="codec is unknown"):
        probed(path)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_duration_seconds": 3.9}, "lasts 4 s; 4 s are allowed"),
        ({"max_frame_pixels": 192 * 128 - 1}, "is 192x128 px; 24575 px a frame are allowed"),
        ({"max_total_frames": 99}, "has more than 99 frames"),
    ],
)
def test_limits(limits: dict[str, float], message: str, clips: ClipFolder) -> None:
    with pytest.raises(VideoTooLong, match=message):
        probed(clips.path("h264"), **limits)


def test_what_is_at_the_limits_is_allowed(clips: ClipFolder) -> None:
    probed(clips.path("h264"), max_duration_seconds=4, max_frame_pixels=192 * 128, max_total_frames=100)


def test_frames_that_all_come_at_once(tmp_path: Path) -> None:
    """Every frame has the same time; the video still has a length, and no number is infinite."""
    path = tmp_path / "at_once.mkv"
    source = ("-f", "lavfi", "-i", "testsrc=size=64x64:rate=25:duration=0.4")
    ffmpeg(*source, "-vf", "setpts=0", "-vsync", "passthrough", *X264, "-bf", "0", path)
    try:
        info = probed(path).info
    except LongtakeError:
        return
    assert 0 < info.duration_seconds < 10
    assert np.isfinite(info.fps)


@pytest.mark.parametrize("name", ["h264", "mkv", "vp9", "av1", "mpeg4", "ts", "fragmented", "edit_list"])
@pytest.mark.parametrize("seed", [1, 2, 3, 29, 35, 43, 56, 71])
def test_damage_is_survived_or_named(name: str, seed: int, broken_files: BrokenFiles) -> None:
    """Seeds 29 to 71 made an unknown codec, and a stream that turns up midway."""
    path = broken_files.damaged(name, seed)
    with suppress(LongtakeError):
        info = probed(path).info
        assert info.total_frames >= 1
        assert info.duration_seconds > 0


def test_what_it_needs_is_found_without_the_media_data(clips: ClipFolder) -> None:
    """Of a remote MP4 the tables are read, and the first picture."""
    for name in ("interlaced", "hlg"):
        skimmed = probe(clips.path(name), fingerprint="bytes", limits=VideoLimits(), skims=True)
        assert skimmed.info == planned(clips.path(name)).video


@pytest.mark.parametrize("name", CLIPS)
def test_tables_say_what_the_packets_do(name: str, clips: ClipFolder) -> None:
    whole, skimmed = (
        probe(clips.path(name), fingerprint="bytes", limits=VideoLimits(), skims=skims) for skims in (False, True)
    )
    assert skimmed.info == whole.info
    assert (skimmed.pts_seconds == whole.pts_seconds).all()
    assert (skimmed.packet_index is None) == (whole.packet_index is None)
    if skimmed.packet_index and whole.packet_index:
        assert (skimmed.packet_index.pts_ticks == whole.packet_index.pts_ticks).all()
        assert (skimmed.packet_index.key_places == whole.packet_index.key_places).all()
        assert (skimmed.packet_index.key_seek_ticks == whole.packet_index.key_seek_ticks).all()
