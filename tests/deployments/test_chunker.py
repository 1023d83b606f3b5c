"""Chunker rejects hostile videos within 2 s, with the reason, and fetches nothing on their behalf."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import struct
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cachetools import LRUCache
from ray.exceptions import RayTaskError

from deployments.chunker import Chunker
from pipeline.config import SourceSettings, VideoLimits
from pipeline.errors import (
    LongtakeError,
    SourceForbidden,
    SourceNotFound,
    SourceTooLarge,
    UnreadableVideo,
    UnsupportedMedia,
    VideoTooLong,
)
from pipeline.sources import open_upload_store
from pipeline.types import (
    ChunkingRequest,
    ChunkPlan,
    FrameSampling,
    HttpUrl,
    HttpVideo,
    LocalVideo,
    StoredVideo,
    TokenBudget,
    VideoSource,
)
from pipeline.video.probing import ProbedVideo
from tests.clips import X264, ffmpeg
from tests.pipeline.sources.origins import HttpSite, sized

MOST_SECONDS = 2.0
NO_CONTAINER = "Ogg), judging by its first bytes. Convert it to one of these"
SAMPLING = FrameSampling(2.0, None, 768, min_pixels=4096, max_pixels=65536, total_pixels=10**8, min_frames=4)
REQUEST = ChunkingRequest(60.0, 0.0, 0.0, None, SAMPLING)
MOST_FRAMES = 10**6
"""Less than the default: building a table of ten million takes FFmpeg more than a second."""


@pytest.fixture(scope="module")
def site() -> Iterator[HttpSite]:
    """What playlists lead to."""
    site = HttpSite()
    yield site
    site.close()


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> SourceSettings:
    folder = tmp_path_factory.mktemp("refusals")
    (folder / "media").mkdir()
    return SourceSettings(
        media_roots=(folder / "media",),
        upload_store=str(folder / "uploads"),
        cache_dir=folder / "cache",
        allow_private_addresses=True,
        max_video_bytes=10**9,
    )


@pytest.fixture(scope="module")
def media(settings: SourceSettings) -> Path:
    """The media root, with the videos that are made worse."""
    media = settings.media_roots[0]
    drawn = ("-f", "lavfi", "-i", "testsrc2=size=320x320:rate=25:duration=4")
    for suffix in ("mp4", "mkv", "avi"):
        ffmpeg(*drawn, *X264, media / f"good.{suffix}")
    ffmpeg(*drawn, "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", media / "jpeg.avi")
    ffmpeg(*drawn, "-c:v", "libvpx", media / "vp8.webm")
    flat = ("-f", "lavfi", "-i", "color=gray:size=8192x8192:rate=1:duration=1")
    ffmpeg(*flat, "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", media / "large.avi")
    os.mkfifo(media / "fifo.mp4")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(media / "socket.mp4"))
    (media / "zero.mp4").symlink_to("/dev/zero")
    (media / "outside.mp4").symlink_to("/etc/passwd")
    (media / "frame001.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    with (media / "sparse.mp4").open("wb") as file:
        file.truncate(2**40)
    return media


@pytest.fixture(scope="module")
def chunker(settings: SourceSettings, media: Path) -> Iterator[Chunker]:
    """Its process is warm: starting one, which a server does once, takes seconds."""
    chunker = Chunker(settings, VideoLimits(max_total_frames=MOST_FRAMES), max_chunks=1000)
    plan_of(chunker, LocalVideo("good.mp4"))
    yield chunker
    chunker._probe_file.close()


def plan_of(chunker: Chunker, source: VideoSource) -> ChunkPlan:
    return asyncio.run(chunker.plan(source, REQUEST, TokenBudget(10**9, 0)))


def refusal(chunker: Chunker, source: VideoSource) -> LongtakeError:
    started = time.monotonic()
    with pytest.raises(LongtakeError) as caught:
        plan_of(chunker, source)
    assert time.monotonic() - started < MOST_SECONDS
    return caught.value


# --- What leads elsewhere ---------------------------------------------------------------------------------------------

PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXTINF:10,\n{fifo}\n#EXT-X-ENDLIST\n",
    "hls_key": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{url}"\n#EXTINF:10,\n{fifo}\n#EXT-X-ENDLIST\n',
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet '
    'mimeType="video/mp4"><Representation id="1" bandwidth="1"><BaseURL>{url}</BaseURL></Representation>'
    "</AdaptationSet></Period></MPD>",
    "concat": "ffconcat version 1.0\nfile '{url}'\nfile '{fifo}'\n",
    "concat_without_header": "file '{url}'\nfile '{fifo}'\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\na=control:{url}\n",
    "imf": '<?xml version="1.0"?><CompositionPlaylist><Id>{url}</Id></CompositionPlaylist>',
    "smooth": '<?xml version="1.0"?><SmoothStreamingMedia><StreamIndex Url="{url}"/></SmoothStreamingMedia>',
    "asx": '<asx version="3.0"><entry><ref href="{url}"/></entry></asx>',
    "pls": "[playlist]\nFile1={url}\nNumberOfEntries=1\n",
    "behind_a_box": "\0\0\0\x18ftypisom\n#EXTM3U\n{url}\n",
    "box_in_text": "AAAAmdat\n<MPD>{url}</MPD>",
}
NAMES = ("{kind}", "{kind}.mp4", "{kind}.m3u8", "{kind}.mpd", "{kind}.ffconcat", "{kind}.sdp", "{kind}%03d.png")
Bring = Callable[[bytes, str], VideoSource]


@pytest.fixture(params=["path", "upload", "http"])
def bring(request: pytest.FixtureRequest, settings: SourceSettings, media: Path, site: HttpSite) -> Bring:
    """Each way by which a file comes in under a name."""

    def by_path(content: bytes, name: str) -> VideoSource:
        (media / name).write_bytes(content)
        return LocalVideo(name)

    def by_upload(content: bytes, name: str) -> VideoSource:
        return StoredVideo(open_upload_store(settings).save([content], file_name=name).file_id)

    def by_http(content: bytes, name: str) -> VideoSource:
        path = f"/sent/{name.replace('%', '_')}"
        site.pages[path] = sized(content, ETag='"v1"', Accept_Ranges="bytes")
        return HttpVideo(HttpUrl.parse(site.url + path))

    ways: dict[str, Bring] = {"path": by_path, "upload": by_upload, "http": by_http}
    return ways[request.param]


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_playlist_under_any_name(chunker: Chunker, media: Path, site: HttpSite, bring: Bring, kind: str) -> None:
    """Where it was followed, its target was asked for, or the FIFO held the one who opened it."""
    text = PLAYLISTS[kind].format(url=f"{site.url}/followed.ts", fifo=media / "fifo.mp4")
    for name in NAMES:
        refused = refusal(chunker, bring(text.encode(), name.format(kind=kind)))
        assert type(refused) in (UnsupportedMedia, UnreadableVideo), name
        assert NO_CONTAINER in refused.message or "cannot be read" in refused.message
        assert site.url not in refused.message and str(media) not in refused.message
    assert not [path for path in site.paths() if not path.startswith("/sent/")]


@dataclass(frozen=True)
class Refused:
    error: type[LongtakeError]
    words: str


PLACES = {
    "fifo.mp4": Refused(SourceForbidden, "is not a regular file. Name a video file"),
    "socket.mp4": Refused(SourceForbidden, "is not a regular file"),
    "zero.mp4": Refused(SourceForbidden, "is not below a media root"),
    "/dev/zero": Refused(SourceForbidden, "is not below a media root"),
    "/dev/stdin": Refused(SourceForbidden, "is not below a media root"),
    "outside.mp4": Refused(SourceForbidden, "is not below a media root"),
    "../media/../../etc/passwd": Refused(SourceForbidden, "is not below a media root"),
    ".": Refused(SourceForbidden, "is not below a media root"),
    "sparse.mp4": Refused(SourceTooLarge, "more than the 1000000000 bytes"),
    "frame%03d.png": Refused(SourceNotFound, "does not exist"),
    "frame*.png": Refused(SourceNotFound, "does not exist"),
    "frame001.png": Refused(UnsupportedMedia, NO_CONTAINER),
    "concat:good.mp4|good.mp4": Refused(SourceNotFound, "does not exist"),
    "{url}/followed.mp4": Refused(SourceNotFound, "does not exist"),
    "subfile,,start,0,end,9,,:good.mp4": Refused(SourceNotFound, "does not exist"),
}


@pytest.mark.parametrize("path", PLACES)
def test_a_path_that_is_no_file(chunker: Chunker, site: HttpSite, path: str) -> None:
    refused = refusal(chunker, LocalVideo(path.format(url=site.url)))
    assert type(refused) is PLACES[path].error
    assert PLACES[path].words in refused.message
    assert "/followed.mp4" not in site.paths()


def test_a_device_below_a_media_root(chunker: Chunker, media: Path) -> None:
    try:
        os.mknod(media / "device.mp4", 0o20666, os.makedev(1, 5))  # /dev/zero
    except PermissionError:
        pytest.skip("only root makes device files")
    refused = refusal(chunker, LocalVideo("device.mp4"))
    assert type(refused) is SourceForbidden
    assert "is not a regular file" in refused.message


# --- Numbers that lie -------------------------------------------------------------------------------------------------

Edit = Callable[[bytearray], None]


def put(mark: bytes, offset: int, new: bytes, *, everywhere: bool = False) -> Edit:
    """Writes `new` at `offset` from the first `mark`, or from each."""

    def edit(content: bytearray) -> None:
        place = content.index(mark)
        while place >= 0:
            content[place + offset : place + offset + len(new)] = new
            place = content.find(mark, place + 1) if everywhere else -1

    return edit


def edited(base: Path, edit: Edit, name: str) -> LocalVideo:
    content = bytearray(base.read_bytes())
    edit(content)
    path = base.with_stem(name)
    path.write_bytes(content)
    return LocalVideo(path.name)


def both(*edits: Edit) -> Edit:
    def edit(content: bytearray) -> None:
        for each in edits:
            each(content)

    return edit


def u32(*numbers: int) -> bytes:
    return struct.pack(f">{len(numbers)}I", *numbers)


JPEG_SIZE, VP8_SIZE = (b"\xff\xc0", 5), (b"\x9d\x01\x2a", 3)
TOO_MANY = f"more than {MOST_FRAMES} frames, the most allowed here"
TOO_LARGE = "px; 36000000 px a frame are allowed here"
UNDECODABLE = "None of the video's first pictures can be decoded"

LIES: dict[str, tuple[str, Edit, Refused]] = {
    "size_of_vp8_beyond_its_containers": (
        "vp8.webm",
        put(*VP8_SIZE, struct.pack("<HH", 16000, 16000), everywhere=True),
        Refused(VideoTooLong, f"16000x16000 {TOO_LARGE}"),
    ),
    "size_of_vp8_beyond_ffmpegs": (
        "vp8.webm",
        put(*VP8_SIZE, struct.pack("<HH", 16383, 16383), everywhere=True),
        Refused(UnreadableVideo, UNDECODABLE),
    ),
    "size_of_jpeg": (
        "jpeg.avi",
        put(*JPEG_SIZE, struct.pack(">HH", 32767, 32767), everywhere=True),
        Refused(UnreadableVideo, UNDECODABLE),
    ),
    "a_million_pictures_of_8k": (
        "large.avi",
        put(b"strh", 8 + 32, struct.pack("<I", 10**6)),
        Refused(VideoTooLong, f"8192x8192 {TOO_LARGE}"),
    ),
    "frames_of_avi": (
        "good.avi",
        put(b"strh", 8 + 32, struct.pack("<I", 900_000)),
        Refused(UnreadableVideo, "promises 899999 frames, and the file holds 100"),
    ),
    "more_frames_of_avi_than_allowed": (
        "good.avi",
        put(b"strh", 8 + 32, struct.pack("<I", 2**31 - 1)),
        Refused(VideoTooLong, TOO_MANY),
    ),
    "stts_entries": ("good.mp4", put(b"stts", 8, u32(2**31)), Refused(UnreadableVideo, "cannot be read")),
    "stts_entries_signed": ("good.mp4", put(b"stts", 8, u32(2**31 - 1)), Refused(UnreadableVideo, "cannot be read")),
    "stts_entries_that_fit": ("good.mp4", put(b"stts", 8, u32(2**27)), Refused(UnreadableVideo, "cannot be read")),
    "stts_count": ("good.mp4", put(b"stts", 12, u32(2**31 - 1)), Refused(VideoTooLong, TOO_MANY)),
    "stts_delta": (
        "good.mp4",
        both(put(b"stts", 16, u32(12_800 * 900)), put(b"elst", 12, u32(2**31 - 1))),
        Refused(VideoTooLong, "lasts 90000 s; 86400 s are allowed here"),
    ),
    "stsz_samples": ("good.mp4", put(b"stsz", 12, u32(2**31 - 1)), Refused(UnreadableVideo, "cannot be read")),
    "stsz_samples_of_a_byte": (
        "good.mp4",
        both(put(b"stsz", 8, u32(1, MOST_FRAMES + 1)), put(b"stsc", 16, u32(MOST_FRAMES + 1))),
        Refused(VideoTooLong, TOO_MANY),
    ),
    "duration_tag_of_matroska": (
        "good.mkv",
        put(b"00:00:04.", 0, b"99:59:59."),
        Refused(UnreadableVideo, "promises 8999975 frames, and the file holds 100"),
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_a_number_that_lies(chunker: Chunker, media: Path, name: str) -> None:
    base, edit, expected = LIES[name]
    refused = refusal(chunker, edited(media / base, edit, name))
    assert type(refused) is expected.error, refused.message
    assert expected.words in refused.message


IDLE_LIES: dict[str, tuple[str, Edit]] = {
    "mvhd_of_years": ("good.mp4", put(b"mvhd", 20, u32(2**31 - 1))),
    "tkhd_of_years": ("good.mp4", put(b"tkhd", 24, u32(2**31 - 1))),
    "mdhd_of_years": ("good.mp4", put(b"mdhd", 20, u32(2**31 - 1))),
    "size_in_matroska": ("vp8.webm", put(b"\xb0\x82\x01\x40\xba\x82\x01\x40", 0, b"\xb0\x82\x7f\xff\xba\x82\x7f\xff")),
    "duration_of_matroska": ("good.mkv", put(b"\x44\x89\x88", 3, struct.pack(">d", 1e15))),
}


@pytest.mark.parametrize("name", IDLE_LIES)
def test_a_number_that_nobody_believes(chunker: Chunker, media: Path, name: str) -> None:
    """The packets say how long a video is."""
    base, edit = IDLE_LIES[name]
    source = edited(media / base, edit, name)
    started = time.monotonic()
    video = plan_of(chunker, source).video
    assert time.monotonic() - started < MOST_SECONDS
    assert (video.total_frames, video.duration_seconds) == (100, pytest.approx(4.0))


# --- What is kept -----------------------------------------------------------------------------------------------------


def test_a_probed_video_is_kept_until_its_file_changes(
    chunker: Chunker, media: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe_file, probed = chunker._probe_file, []

    def counted(file: Path, **options: Any) -> ProbedVideo:
        probed.append(file)
        return probe_file(file, **options)

    monkeypatch.setattr(chunker, "_probe_file", counted)
    shutil.copy(media / "good.mp4", media / "changing.mp4")
    first, again = (plan_of(chunker, LocalVideo("changing.mp4")) for _ in range(2))
    assert len(probed) == 1
    assert first.video == again.video
    shutil.copy(media / "good.mkv", media / "changing.mp4")
    assert plan_of(chunker, LocalVideo("changing.mp4")).video.fingerprint != first.video.fingerprint
    assert len(probed) == 2


def test_the_videos_planned_last_are_kept(chunker: Chunker, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunker, "_probed", LRUCache(2))
    for name in ("good.mp4", "good.mkv", "good.mp4", "good.avi"):
        plan_of(chunker, LocalVideo(name))
    assert [video.info.container for video in chunker._probed.values()] == ["mov,mp4,m4a,3gp,3g2,mj2", "avi"]


# --- Names that cannot be encoded -------------------------------------------------------------------------------------


def test_a_name_with_a_surrogate_is_an_error_that_ray_can_send(chunker: Chunker) -> None:
    """Ingress refuses it. If it came all the same, the replica would die of the error, not of the video."""
    error = refusal(chunker, LocalVideo("\udcff.mp4"))
    assert isinstance(error, SourceNotFound)
    assert "\\udcff.mp4" in error.message
    RayTaskError("plan", "".join(traceback.format_exception(error)), error).to_bytes()


def test_a_file_whose_name_is_no_unicode_is_an_error_that_ray_can_send(chunker: Chunker, media: Path) -> None:
    (media / os.fsdecode(b"\xff.mp4")).write_bytes(b"not a video")
    error = refusal(chunker, LocalVideo(os.fsdecode(b"\xff.mp4")))
    RayTaskError("plan", "".join(traceback.format_exception(error)), error).to_bytes()
