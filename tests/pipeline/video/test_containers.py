"""Open files for FFmpeg, with or without the pictures of an MP4."""

from __future__ import annotations

import io
from functools import partial

import av
import pytest

from pipeline.errors import UnreadableVideo, UnsupportedMedia
from pipeline.video.containers import (
    WithoutMediaData,
    opened_container,
    packets_of,
    translated_ffmpeg_errors,
    video_stream,
)
from tests.clips import CLIPS, BrokenFiles, ClipFolder


def test_media_data_is_zeros_and_nothing_else_is(clips: ClipFolder) -> None:
    content = clips.path("h264").read_bytes()
    skimmed = WithoutMediaData(io.BytesIO(content))
    seen = b"".join(iter(partial(skimmed.read, 1000), b""))
    start = content.index(b"mdat") + 4
    stop = content.index(b"moov") - 4
    assert seen == content[:start] + bytes(stop - start) + content[stop:]
    assert skimmed.seek(start - 2) == start - 2
    assert skimmed.read(4) == content[start - 2 : start]  # a read ends where the pictures begin
    assert skimmed.read(4) == bytes(4)


def test_a_file_is_told_by_its_content(broken_files: BrokenFiles) -> None:
    for path in (broken_files.text(), broken_files.playlist(), broken_files.empty()):
        with (
            path.open("rb") as file,
            pytest.raises(UnsupportedMedia, match="judging by its first bytes"),
            opened_container(file),
        ):
            pass


def test_ffmpegs_complaints_name_no_path(clips: ClipFolder) -> None:
    content = clips.path("h264").read_bytes()
    cut_off = io.BytesIO(content[: len(content) * 6 // 10])  # its index is at the end
    with pytest.raises(UnreadableVideo, match="it is damaged, or was cut off") as caught, opened_container(cut_off):
        pass
    assert str(clips.folder) not in caught.value.message


@pytest.mark.parametrize("error", [ValueError("x"), EOFError(), av.error.InvalidDataError(1, "Invalid data")])
def test_errors_of_ffmpeg_are_translated_and_others_are_not(error: Exception) -> None:
    with pytest.raises(UnreadableVideo), translated_ffmpeg_errors():
        raise error
    with pytest.raises(KeyError), translated_ffmpeg_errors():
        raise KeyError


def test_packets_come_in_the_files_order_with_an_empty_last_one(clips: ClipFolder) -> None:
    with clips.path("h264").open("rb") as file, opened_container(file) as container:
        *packets, last = packets_of(container, video_stream(container))
        assert len(packets) == CLIPS["h264"].num_frames
        assert [packet.dts for packet in packets] == sorted(packet.dts or 0 for packet in packets)
        assert not last.size


def test_sound_alone_has_no_video_stream(broken_files: BrokenFiles) -> None:
    with (
        broken_files.audio_only().open("rb") as file,
        opened_container(file) as container,
        pytest.raises(UnsupportedMedia, match="has audio streams and no video stream"),
    ):
        video_stream(container)


def box(kind: bytes, content: bytes, *, is_large: bool = False) -> bytes:
    """A box of an MP4, its size in 32 bits or in 64."""
    if is_large:
        return (1).to_bytes(4, "big") + kind + (16 + len(content)).to_bytes(8, "big") + content
    return (8 + len(content)).to_bytes(4, "big") + kind + content


@pytest.mark.parametrize("is_large", [False, True])
def test_every_box_of_media_data_is_found(is_large: bool) -> None:
    parts = [
        box(b"ftyp", b"isom"), box(b"mdat", b"one", is_large=is_large), box(b"moov", b"tables"), box(b"mdat", b"two")
    ]  # fmt: skip
    read = b"".join(iter(partial(WithoutMediaData(io.BytesIO(b"".join(parts))).read, 5), b""))
    assert read == b"".join(parts).replace(b"one", bytes(3)).replace(b"two", bytes(3))


def test_media_data_to_the_end_of_the_file_is_found() -> None:
    content = box(b"ftyp", b"isom") + bytes(4) + b"mdat" + b"pictures"
    assert WithoutMediaData(io.BytesIO(content)).read(0) == b""
    read = b"".join(iter(partial(WithoutMediaData(io.BytesIO(content)).read, 100), b""))
    assert read == content.replace(b"pictures", bytes(8))


def test_a_box_that_lies_about_its_size_leaves_the_rest_as_it_is() -> None:
    content = (4).to_bytes(4, "big") + b"mdat" + b"pictures" + box(b"mdat", b"more")
    assert WithoutMediaData(io.BytesIO(content)).read() == content
