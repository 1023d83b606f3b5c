"""Which pictures may be left out: as FFmpeg's own reader of headers has it, and as the pictures that remain show."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline.decoding.disposable_pictures import IsDisposable, disposable_pictures
from tests.clips import ffmpeg

SOURCE = ("-f", "lavfi", "-i", "testsrc2=size=192x128:rate=25:duration=4")
SCREEN = ("-f", "lavfi", "-i", "mandelbrot=size=192x128:rate=25", "-t", "3")
X264, X265 = ("-c:v", "libx264", "-pix_fmt", "yuv420p"), ("-c:v", "libx265", "-pix_fmt", "yuv420p", "-x265-params")
SVT, AOM = ("-c:v", "libsvtav1", "-pix_fmt", "yuv420p"), ("-c:v", "libaom-av1", "-cpu-used", "8", "-pix_fmt", "yuv420p")
ENCODINGS = {
    "x264": (SOURCE, (*X264, "-bf", "3"), "mp4"),
    "x264 mkv": (SOURCE, (*X264, "-bf", "3"), "mkv"),
    "x264 pyramid": (SOURCE, (*X264, "-x264-params", "bframes=8:b-pyramid=normal:keyint=50:b-adapt=0"), "mp4"),
    "x264 open": (SOURCE, (*X264, "-x264-params", "open-gop=1:keyint=20:min-keyint=20:bframes=3:scenecut=0"), "mp4"),
    "x264 slices": (SOURCE, (*X264, "-bf", "2", "-slices", "4"), "mp4"),
    "x264 without": (SOURCE, (*X264, "-bf", "0"), "mp4"),
    "x265": (SOURCE, (*X265, "log-level=error:bframes=4"), "mp4"),
    "x265 layers": (SOURCE, (*X265, "log-level=error:bframes=4:temporal-layers=3"), "mp4"),
    "x265 mkv": (SOURCE, (*X265, "log-level=error:bframes=8:b-pyramid=1:open-gop=1:keyint=20"), "mkv"),
    "x265 without": (SOURCE, (*X265, "log-level=error:bframes=0"), "mp4"),
    "svt": (SOURCE, (*SVT, "-preset", "10"), "mp4"),
    "svt low delay": (SOURCE, (*SVT, "-preset", "10", "-svtav1-params", "pred-struct=1"), "mkv"),
    "svt screen": (SCREEN, (*SVT, "-preset", "10", "-svtav1-params", "scm=1"), "webm"),
    "aom": (SOURCE, (*AOM,), "mkv"),
    "aom resilient": (SOURCE, (*AOM, "-error-resilience", "default"), "mp4"),
    "aom screen": (SCREEN, (*AOM, "-aom-params", "tune-content=screen:enable-palette=1"), "mkv"),
    "aom real time": (SOURCE, (*AOM, "-usage", "realtime"), "mp4"),
    "vp9": (SOURCE, ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"), "webm"),
}
WITHOUT = {"x264 without", "x265 without", "aom real time", "vp9"}
"""Where every picture is referred to, or may be."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("disposable")


def encoded(name: str, folder: Path) -> Path:
    source, options, suffix = ENCODINGS[name]
    path = folder / f"{name.replace(' ', '_')}.{suffix}"
    if not path.exists():
        ffmpeg(*source, *options, path)
    return path


def disposability(stream: av.VideoStream) -> IsDisposable:
    codec = stream.codec_context
    return disposable_pictures(codec.codec.canonical_name, codec.extradata or b"")


def found_disposable(path: Path) -> list[bool]:
    """Of each packet, in the order of decoding."""
    with av.open(path) as container:
        is_disposable = disposability(container.streams.video[0])
        return [is_disposable(memoryview(packet)) for packet in container.demux(video=0) if packet.size]


def pictures(path: Path, *, spare: bool) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_count = 1
        is_disposable = disposability(stream)
        for packet in container.demux(stream):
            if not (spare and packet.size and is_disposable(memoryview(packet))):
                for picture in packet.decode():
                    yield picture.pts, picture.to_ndarray()


def fields_of_packets(path: Path) -> Iterator[list[tuple[str, int]]]:
    """What FFmpeg's coded bitstream reader finds in the headers of each packet."""
    command = ["ffmpeg", "-hide_banner", "-i", path, "-map", "0:v", "-c", "copy", "-bsf:v", "trace_headers"]
    trace = subprocess.run([*command, "-f", "null", "-"], capture_output=True, text=True, check=True).stderr
    _, *packets = re.split(r"Packet: \d+ bytes", trace)
    for packet in packets:
        found = re.findall(r"\] \d+ +(\w+) +[01]+ = (\d+)", packet)
        yield [(name, int(value)) for name, value in found]


def is_disposable_by(fields: list[tuple[str, int]], codec: str, highest_layer: int) -> bool:
    if codec == "av1":
        # Key frames shown say nothing of what they refresh: it is all. Frames shown again are not decoded again.
        frames = sum(name == "show_existing_frame" for name, _ in fields)
        refreshes = [value for name, value in fields if name == "refresh_frame_flags"]
        return len(refreshes) == frames > 0 and not any(refreshes)
    kinds = [value for name, value in fields if name == "nal_unit_type"]
    if codec == "h264":
        references = [value for name, value in fields if name == "nal_ref_idc"]
        slices = [reference for kind, reference in zip(kinds, references, strict=True) if 1 <= kind <= 5]
        return not any(slices)
    layers = [value - 1 for name, value in fields if name == "nuh_temporal_id_plus1"]
    slices = [(kind, layer) for kind, layer in zip(kinds, layers, strict=True) if kind < 32]
    return all(kind < 16 and kind % 2 == 0 and layer == highest_layer for kind, layer in slices)


@pytest.mark.parametrize("name", sorted(set(ENCODINGS) - {"vp9"}))
def test_headers_are_read_as_ffmpeg_reads_them(name: str, folder: Path) -> None:
    path = encoded(name, folder)
    with av.open(path) as container:
        codec = container.streams.video[0].codec_context.codec.canonical_name
    packets = list(fields_of_packets(path))
    layers = [value - 1 for fields in packets for name, value in fields if name == "nuh_temporal_id_plus1"]
    expected = [is_disposable_by(fields, codec, max(layers, default=0)) for fields in packets]
    assert found_disposable(path) == expected


@pytest.mark.parametrize("name", ENCODINGS)
def test_the_pictures_that_remain_are_the_same(name: str, folder: Path) -> None:
    path = encoded(name, folder)
    whole, rest = dict(pictures(path, spare=False)), dict(pictures(path, spare=True))
    spared = sum(found_disposable(path))
    assert len(whole) - len(rest) == spared
    assert (spared == 0) == (name in WITHOUT)
    for pts, picture in rest.items():
        assert (picture == whole[pts]).all()


def test_a_parameter_set_is_never_spared() -> None:
    """A later picture may be read by it."""
    h264 = disposable_pictures("h264", b"\x01\x64\x00\x1f\xff")
    hevc = disposable_pictures("hevc", b"\x01" * 21 + b"\x0f" + b"\x00" * 9)
    for is_disposable, slice_, delimiter, parameters in (
        (h264, b"\x01\xaa", b"\x09\xf0", b"\x68\xce"),
        (hevc, b"\x00\x01\xaa", b"\x46\x01\x10", b"\x44\x01\xc0"),
    ):
        units = [len(unit).to_bytes(4, "big") + unit for unit in (delimiter, slice_, parameters)]
        assert is_disposable(memoryview(b"".join(units[:2])))
        assert not is_disposable(memoryview(b"".join(units)))


def test_what_is_not_understood_is_kept() -> None:
    for codec in ("h264", "hevc", "av1", "vp9", "mpeg4"):
        for extradata in (b"", b"\x00" * 40, b"\x01" * 40, b"\x01" * 21 + b"\x0b" * 9, b"\x00\x00\x00\x01\x67" * 8):
            is_disposable = disposable_pictures(codec, extradata)
            for packet in (b"", b"\x00", b"\x00\x00\x00\x02", b"\xff" * 64, bytes(64), b"\x00\x00\x00\x01\x65\x88" * 9):
                assert not is_disposable(memoryview(packet))
