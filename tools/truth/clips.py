"""The films that the truth is measured on. None of them was in training: their split has seeds of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Literal
from uuid import uuid4

import numpy as np

from tools.demo_model.scenes import Film, Split, fingerprint, random_film, write_film

FOLDER = Path(__file__).resolve().parents[2] / "build" / "truth"
"""Where the films are kept, from one run to the next."""

Kind = Literal["constant", "variable", "late start", "rotated"]
KINDS: tuple[Kind, ...] = ("constant", "variable", "late start", "rotated")

CODECS = {"h264": "libx264", "hevc": "libx265", "vp9": "libvpx-vp9", "av1": "libsvtav1"}
"""By the name that the server gives them."""

SIZES_PX = ((640, 360), (426, 240), (320, 240), (480, 204), (360, 360), (240, 426), (240, 320))
"""Width and height, as shown."""

LATE_START_SECONDS = 37.5
TURN_MARK = ("-metadata:s:v:0", "rotate=270")
"""For FFmpeg: shows a picture that lies turned to the left upright again."""
UNEVEN_INTERVALS = (0.5, 1.0, 1.0, 1.5, 4.0)
"""Between the frames of a clip of variable frame rate, in frames: a phone's come now fast, now slow, or are dropped."""

SOURCE_FPS = (Fraction(8), Fraction(12), Fraction(24000, 1001), Fraction(25), Fraction(30))


@dataclass(frozen=True)
class Clip:
    """A film in a file of some kind."""

    name: str
    film: Film
    codec: str
    fps: Fraction
    kind: Kind = "constant"

    @property
    def size(self) -> str:
        return f"{self.film.width_px}x{self.film.height_px}"

    def written(self, folder: Path) -> Path:
        """The file in `folder`, which this makes first if no process has done so before."""
        written_how = (self.codec, self.fps, self.kind, LATE_START_SECONDS, UNEVEN_INTERVALS, TURN_MARK)
        path = folder / f"{self.name}-{self.codec}-{fingerprint(self.film, *written_how)}.{self._suffix}"
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_name(f"unfinished-{uuid4().hex}-{path.name}")
            self._write(unfinished)
            unfinished.rename(path)
        return path

    @property
    def _suffix(self) -> str:
        if self.kind == "late start":
            return "ts" if self.codec in ("h264", "hevc") else "mkv"
        return "webm" if self.codec == "vp9" and self.kind != "rotated" else "mp4"

    def _write(self, path: Path) -> None:
        encoder = CODECS[self.codec]
        match self.kind:
            case "constant":
                write_film(self.film, path, fps=self.fps, encoder=encoder)
            case "variable":
                times = _uneven_times(self.film.duration_seconds, float(self.fps))
                write_film(self.film, path, fps=self.fps, encoder=encoder, frame_seconds=times)
            case "late start":
                write_film(self.film, path, fps=self.fps, encoder=encoder, start_seconds=LATE_START_SECONDS)
            case "rotated":
                lying = path.with_name(f"lying-{path.name}")
                write_film(self.film, lying, fps=self.fps, encoder=encoder, quarter_turns=1)
                _turn_back(lying, path)
                lying.unlink()


def _uneven_times(duration_seconds: float, fps: float) -> Sequence[float]:
    rng = np.random.default_rng(5)
    times = np.cumsum(rng.choice(UNEVEN_INTERVALS, int(2 * duration_seconds * fps)) / fps)
    return [0.0, *(float(seconds) for seconds in times if seconds < duration_seconds)]


def _turn_back(lying: Path, upright: Path) -> None:
    """Marks the pictures as lying on their side; a player turns them upright."""
    command = ["ffmpeg", "-y", "-v", "error", "-i", str(lying), "-c", "copy", *TURN_MARK, str(upright)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def unseen_clips(count: int) -> list[Clip]:
    """Clips of 8 to 58 s: every codec, size, frame rate and kind in turn."""
    clips = []
    for seed in range(count):
        rng = np.random.default_rng([Split.TEST, seed, 1])
        width, height = SIZES_PX[seed % len(SIZES_PX)]
        film = random_film(
            Split.TEST, seed, width_px=width, height_px=height, duration_seconds=round(float(rng.uniform(8, 58)), 1)
        )
        codec = tuple(CODECS)[seed // 6 % len(CODECS)]
        fps = SOURCE_FPS[int(rng.integers(len(SOURCE_FPS)))]
        kind: Kind = "constant" if seed % 2 else KINDS[1 + seed // 2 % 3]
        if kind == "rotated" and codec == "vp9":
            codec = "h264"  # FFmpeg writes no rotation for VP9
        clips.append(Clip(f"clip-{seed:03}-{kind.replace(' ', '-')}", film, codec, fps, kind))
    return clips


def long_film(duration_seconds: float = 600.0, *, seed: int = 10_000) -> Clip:
    """A film for many chunks."""
    film = random_film(Split.TEST, seed, width_px=320, height_px=180, duration_seconds=duration_seconds)
    return Clip(f"film-{seed}", film, "h264", Fraction(10))


def in_every_codec(clip: Clip) -> list[Clip]:
    return [replace(clip, codec=codec) for codec in CODECS]
