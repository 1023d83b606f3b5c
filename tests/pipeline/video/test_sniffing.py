"""Recognise containers by their first bytes, and never a manifest."""

import subprocess
from pathlib import Path

import pytest

from pipeline.video.sniffing import SNIFF_BYTES, Container, sniff_container


def box(kind: bytes, content: bytes = b"") -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content


MP4_START = box(b"ftyp", b"isom\0\0\2\0isomiso2avc1mp41")

RECIPES = {
    "mp4": (["-c:v", "mpeg4"], Container.ISO_BMFF),
    "mov": (["-c:v", "mpeg4"], Container.ISO_BMFF),
    "3gp": (["-c:v", "mpeg4"], Container.ISO_BMFF),
    "mkv": (["-c:v", "mpeg4"], Container.MATROSKA),
    "webm": (["-c:v", "libvpx"], Container.MATROSKA),
    "avi": (["-c:v", "mpeg4"], Container.AVI),
    "ts": (["-c:v", "mpeg2video"], Container.MPEG_TS),
    "m2ts": (["-c:v", "mpeg2video"], Container.MPEG_TS),
    "mpg": (["-c:v", "mpeg1video", "-f", "mpeg"], Container.MPEG_PS),
    "vob": (["-c:v", "mpeg2video"], Container.MPEG_PS),
    "flv": (["-c:v", "flv1"], Container.FLV),
    "ogv": (["-c:v", "libtheora"], Container.OGG),
}


@pytest.mark.parametrize("suffix", RECIPES)
def test_files_that_ffmpeg_writes(tmp_path: Path, suffix: str) -> None:
    options, container = RECIPES[suffix]
    path = tmp_path / f"clip.{suffix}"
    source = ["-f", "lavfi", "-i", "testsrc=size=352x288:rate=25:duration=0.4"]
    subprocess.run(["ffmpeg", "-v", "error", *source, *options, str(path)], check=True)
    assert sniff_container(path.read_bytes()[:SNIFF_BYTES]) is container


@pytest.mark.parametrize(
    "head",
    [
        MP4_START,
        box(b"wide") + box(b"mdat", b"\0" * 100),
        box(b"free", b"\0" * 20) + MP4_START,
        box(b"skip") + MP4_START,
        box(b"moov", box(b"mvhd", b"\0" * 100)),
        (3 * 1024**3).to_bytes(4, "big") + b"mdat" + b"\0\0\1\0",
        b"\0\0\0\1mdat" + (5 * 1024**3).to_bytes(8, "big"),
        b"\0\0\0\0mdat" + b"\1" * 100,
        box(b"ftyp", b"qt  \0\0\0\0"),
    ],
)
def test_first_boxes_of_mp4(head: bytes) -> None:
    assert sniff_container(head) is Container.ISO_BMFF


def test_mpeg1_program_stream() -> None:
    assert sniff_container(b"\0\0\1\xba\x21\0\1\0\1" + b"\xff" * 100) is Container.MPEG_PS


@pytest.mark.parametrize(("start", "spacing"), [(0, 188), (4, 192)])
def test_transport_stream_needs_every_sync_byte(start: int, spacing: int) -> None:
    head = bytearray(SNIFF_BYTES)
    for position in range(start, SNIFF_BYTES, spacing):
        head[position] = 0x47
    assert sniff_container(bytes(head)) is Container.MPEG_TS
    head[start + 2 * spacing] = 0
    assert sniff_container(bytes(head)) is None


MANIFESTS = {
    "hls": b"#EXTM3U\n#EXT-X-VERSION:3\n#EXTINF:10,\nhttp://127.0.0.1/a.ts\n#EXT-X-ENDLIST\n",
    "hls_bom": b"\xef\xbb\xbf#EXTM3U\n#EXTINF:1,\na.ts\n",
    "ffconcat": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    "dash": b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011">\n</MPD>',
    "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 1234 RTP/AVP 96\n",
    "imf": b'<?xml version="1.0"?>\n<CompositionPlaylist></CompositionPlaylist>',
    "smil": b"<smil><body><video src='http://127.0.0.1/'/></body></smil>",
    "asx": b"<asx version='3.0'><entry><ref href='http://127.0.0.1/'/></entry></asx>",
    "pls": b"[playlist]\nFile1=http://127.0.0.1/a.mp4\n",
    "redirect": b"[Reference]\nRef1=http://127.0.0.1/a\n",
}

OTHERS = {
    "nothing": b"",
    "one_byte": b"\0",
    "zeros": b"\0" * SNIFF_BYTES,
    "text": b"Alexmdat is no video, and neither is this.\n" * 30,
    "html": b"<!DOCTYPE html><html><body>404</body></html>",
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\0" * 100,
    "jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF\0" + b"\0" * 100,
    "jpeg2000": b"\0\0\0\x0cjP  \r\n\x87\n\0\0\0\x14ftypjp2 \0\0\0\0jp2 ",
    "gif": b"GIF89a\1\0\1\0\0\0\0",
    "webp": b"RIFF\0\1\0\0WEBPVP8 ",
    "wav": b"RIFF\0\1\0\0WAVEfmt ",
    "heic": box(b"ftyp", b"heic\0\0\0\0mif1heic"),
    "avif": box(b"ftyp", b"avif\0\0\0\0avifmif1"),
    "zip": b"PK\x03\x04\x14\0\0\0\x08\0",
    "pdf": b"%PDF-1.7\n%\xe2\xe3\0",
    "elf": b"\x7fELF\2\1\1\0\0\0",
    "ebml_other": b"\x1a\x45\xdf\xa3\x84\x42\x82\x81x\0" + b"\0" * 50,
    "raw_h264": b"\0\0\0\1\x67\x64\0\x1f\xac\xd9",
    "bad_box_size": b"\0\0\0\7ftypisom",
    "utf16": "\ufeff#EXTM3U\n".encode("utf-16-le"),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests_are_no_video(name: str) -> None:
    assert sniff_container(MANIFESTS[name]) is None
    assert sniff_container(MANIFESTS[name] + b"\0" * SNIFF_BYTES) is None


@pytest.mark.parametrize("name", OTHERS)
def test_other_files_are_no_video(name: str) -> None:
    assert sniff_container(OTHERS[name]) is None


@pytest.mark.parametrize("marker", [b"<MPD profiles='urn:mpeg:dash:profile:", b"<CompositionPlaylist", b"<mpd"])
def test_manifest_behind_the_start_of_a_video(marker: bytes) -> None:
    assert sniff_container(b"AAAAmdat\n" + marker + b"\0" * 100) is None
    assert sniff_container(b"\x1a\x45\xdf\xa3webm" + marker + b"\0" * 100) is None
    assert sniff_container(b"AAAAmdat\n" + b" " * SNIFF_BYTES + marker) is None
