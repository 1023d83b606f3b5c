"""Films of coloured shapes, and the exact truth about them: what is shown, from when to when.

A film is a row of scenes. Each scene shows one shape of one colour, moving, before a plain, graded or noisy
background. A seed gives the same film on every machine; the seeds of training and of testing never meet, because the
split is part of the seed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import cv2
import numpy as np
from numpy.typing import NDArray

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (222, 24, 28),
    "green": (24, 186, 44),
    "blue": (30, 52, 230),
    "yellow": (240, 226, 30),
    "cyan": (30, 214, 226),
    "magenta": (222, 34, 214),
    "orange": (246, 136, 22),
    "white": (246, 246, 246),
}
"""RGB. Swapping red and blue turns most of them into another one, or into none."""

SHAPES = ("circle", "square", "triangle", "star", "cross", "ring")

SHORTEST_SCENE_SECONDS = 3.0
LONGEST_SCENE_SECONDS = 12.0

Background = Literal["plain", "graded", "noisy", "flickering"]
BACKGROUNDS: tuple[Background, ...] = ("plain", "graded", "noisy", "flickering")


class Split(IntEnum):
    """Which seeds a film is drawn from. A film of one split never equals one of another."""

    TRAIN = 1
    TEST = 2
    DEMO = 3


@dataclass(frozen=True)
class Look:
    """How a scene looks, beside its colour and shape."""

    background: Background
    level: int
    """Mean brightness of the background, of 255."""
    tint: tuple[int, int, int]
    """Added to the level, per RGB channel."""
    background_seed: int
    shade: float
    """Factor on the shape's colour."""
    size: float
    """The shape's diameter, as a share of the frame's shorter side."""
    angle: float
    """Radians; small, so that a square stays one."""
    start: tuple[float, float]
    """Of the shape's centre, x and y, each from 0 to 1 of the way that the frame leaves it."""
    velocity: tuple[float, float]
    """Of the centre, in such ways per second. It bounces off the borders."""


@dataclass(frozen=True)
class Scene:
    """One shape, on the screen from `start_seconds` until `stop_seconds`."""

    start_seconds: float
    stop_seconds: float
    colour: str
    shape: str
    look: Look


@dataclass(frozen=True)
class Film:
    """Scenes without a gap, from second 0 on."""

    width_px: int
    height_px: int
    scenes: tuple[Scene, ...]

    @property
    def duration_seconds(self) -> float:
        return self.scenes[-1].stop_seconds

    def scene_at(self, seconds: float) -> Scene:
        """The scene on the screen then; the last one from the film's end on."""
        return next((scene for scene in self.scenes if seconds < scene.stop_seconds), self.scenes[-1])


def random_film(
    split: Split,
    seed: int,
    *,
    width_px: int,
    height_px: int,
    duration_seconds: float,
    shortest_scene_seconds: float = SHORTEST_SCENE_SECONDS,
    longest_scene_seconds: float = LONGEST_SCENE_SECONDS,
) -> Film:
    """A film of `duration_seconds`. Two scenes in a row never show the same shape in the same colour."""
    rng = np.random.default_rng([split, seed])
    scenes: list[Scene] = []
    start, look = 0.0, random_look(rng)
    while start < duration_seconds:
        stop = start + round(float(rng.uniform(shortest_scene_seconds, longest_scene_seconds)), 2)
        if duration_seconds - stop < shortest_scene_seconds:
            stop = duration_seconds
        colour, shape = _other_content(rng, scenes[-1] if scenes else None)
        look = random_look(rng, look if rng.random() < 0.6 else None)
        scenes.append(Scene(start, stop, colour, shape, look))
        start = stop
    return Film(width_px, height_px, tuple(scenes))


def random_look(rng: np.random.Generator, same_background_as: Look | None = None) -> Look:
    tint = rng.integers(-14, 15, 3)
    other = same_background_as
    return Look(
        background=other.background if other else BACKGROUNDS[int(rng.integers(len(BACKGROUNDS)))],
        level=other.level if other else int(rng.integers(18, 105)),
        tint=other.tint if other else (int(tint[0]), int(tint[1]), int(tint[2])),
        background_seed=other.background_seed if other else int(rng.integers(2**31)),
        shade=float(rng.uniform(0.85, 1.0)),
        size=float(rng.uniform(0.46, 0.8)),
        angle=float(rng.uniform(-0.14, 0.14)),
        start=(float(rng.random()), float(rng.random())),
        velocity=(float(rng.uniform(-0.3, 0.3)), float(rng.uniform(-0.3, 0.3))),
    )


def _other_content(rng: np.random.Generator, before: Scene | None) -> tuple[str, str]:
    while True:
        colour = tuple(COLOURS)[int(rng.integers(len(COLOURS)))]
        shape = SHAPES[int(rng.integers(len(SHAPES)))]
        if before is None or (colour, shape) != (before.colour, before.shape):
            return colour, shape


class Renderer:
    """Draws frames of one size. Keeps the last background, which many scenes share."""

    def __init__(self, width_px: int, height_px: int) -> None:
        self._width, self._height = width_px, height_px
        self._ground_of: Look | None = None
        self._ground: NDArray[np.uint8] = np.zeros((height_px, width_px, 3), np.uint8)

    def frame(self, scene: Scene, seconds: float) -> NDArray[np.uint8]:
        """(H, W, 3) uint8 RGB: what `scene` shows `seconds` after the film's start."""
        frame = self._background(scene.look, seconds).copy()
        mask = self._shape_mask(scene, seconds - scene.start_seconds)
        x, y, width, height = cv2.boundingRect(mask)
        inside = (slice(y, y + height), slice(x, x + width))
        colour = np.array(COLOURS[scene.colour], np.float32) * scene.look.shade
        share = mask[inside][..., None].astype(np.float32) / 255
        frame[inside] = np.round(frame[inside] * (1 - share) + colour * share).astype(np.uint8)
        return frame

    def _background(self, look: Look, seconds: float) -> NDArray[np.uint8]:
        if look.background == "flickering":
            return self._grain(look, round(seconds * 1000))
        before = self._ground_of
        if before is None or (before.background, before.background_seed) != (look.background, look.background_seed):
            self._ground, self._ground_of = self._still_background(look), look
        return self._ground

    def _still_background(self, look: Look) -> NDArray[np.uint8]:
        if look.background == "noisy":
            return self._grain(look, 0, cell_px=max(2, min(self._width, self._height) // 24), spread=16)
        ground = np.full((self._height, self._width, 3), np.array(look.tint) + look.level, np.float32)
        if look.background == "graded":
            rng = np.random.default_rng(look.background_seed)
            left, right = rng.uniform(-22, 22, 2)
            ground += np.linspace(left, right, self._width, dtype=np.float32)[None, :, None]
        return _as_bytes(ground)

    def _grain(self, look: Look, moment: int, *, cell_px: int = 4, spread: float = 9) -> NDArray[np.uint8]:
        rng = np.random.default_rng([look.background_seed, moment])
        cells = (math.ceil(self._height / cell_px), math.ceil(self._width / cell_px), 1)
        noise = rng.normal(0, spread, cells).astype(np.float32)
        level = np.array(look.tint, np.float32) + look.level
        grain = cv2.resize(noise, (self._width, self._height), interpolation=cv2.INTER_LINEAR)[..., None] + level
        return _as_bytes(grain)

    def _shape_mask(self, scene: Scene, age_seconds: float) -> NDArray[np.uint8]:
        look = scene.look
        radius = look.size * min(self._width, self._height) / 2
        centre = [
            radius + _bounced(start + speed * age_seconds) * (side - 2 * radius)
            for start, speed, side in zip(look.start, look.velocity, (self._width, self._height), strict=True)
        ]
        mask = np.zeros((self._height, self._width), np.uint8)
        turn = np.array([[math.cos(look.angle), -math.sin(look.angle)], [math.sin(look.angle), math.cos(look.angle)]])
        for outline, fill in zip(_OUTLINES[scene.shape], (255, 0), strict=False):
            points = (outline @ turn.T) * radius + centre
            cv2.fillPoly(mask, [np.round(points * 16).astype(np.int32)], fill, cv2.LINE_AA, shift=4)
        return mask


def _bounced(way: float) -> float:
    return 1 - abs(way % 2 - 1)


def _as_bytes(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    clipped: NDArray[np.uint8] = np.clip(np.round(values), 0, 255).astype(np.uint8)
    return clipped


def _round_outline(radius: float, corners: int = 48) -> NDArray[np.float64]:
    return _star_outline(corners, radius, radius)


def _star_outline(corners: int, outer: float, inner: float) -> NDArray[np.float64]:
    radii = np.tile([outer, inner], corners)
    angles = np.arange(2 * corners) * math.pi / corners - math.pi / 2
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


_ARM = 0.32
_OUTLINES: dict[str, tuple[NDArray[np.float64], ...]] = {
    "circle": (_round_outline(0.92),),
    "ring": (_round_outline(1.0), _round_outline(0.55)),
    "square": (np.array([[-0.78, -0.78], [0.78, -0.78], [0.78, 0.78], [-0.78, 0.78]]),),
    "triangle": (np.array([[0.0, -0.95], [0.95, 0.75], [-0.95, 0.75]]),),
    "star": (_star_outline(5, 1.0, 0.4),),
    "cross": (
        np.array(
            [
                [-_ARM, -1], [_ARM, -1], [_ARM, -_ARM], [1, -_ARM], [1, _ARM], [_ARM, _ARM],
                [_ARM, 1], [-_ARM, 1], [-_ARM, _ARM], [-1, _ARM], [-1, -_ARM], [-_ARM, -_ARM],
            ]
        ),
    ),
}  # fmt: skip
"""About the centre, at about radius 1; a second outline is a hole."""


ENCODER_OPTIONS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "veryfast", "crf": "23"},
    "libx265": {"preset": "ultrafast", "crf": "24", "x265-params": "log-level=error"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "30", "b": "0"},
    "libsvtav1": {"preset": "12", "crf": "32"},
}
"""Per encoder: fast, at a quality that a viewer would not mind."""


def write_film(
    film: Film,
    path: Path,
    *,
    fps: Fraction | int = 25,
    encoder: str = "libx264",
    options: dict[str, str] | None = None,
    frame_seconds: Sequence[float] | None = None,
    start_seconds: float = 0.0,
    quarter_turns: int = 0,
) -> Path:
    """Encodes `film` into `path`, whose ending names the container.

    Args:
        fps: frames per second of the file.
        encoder: FFmpeg's name of it, one of ENCODER_OPTIONS.
        options: for the encoder, over those of ENCODER_OPTIONS.
        frame_seconds: the time of each frame, ascending, for a variable frame rate; else they come at `fps`.
        start_seconds: the presentation time of the first frame; the film's second 0 is shown then.
        quarter_turns: anticlockwise, by which the pictures are laid down before they are encoded.
    """
    if frame_seconds is None:
        frame_seconds = [float(i / Fraction(fps)) for i in range(round(film.duration_seconds * fps))]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(encoder, rate=Fraction(fps), options=ENCODER_OPTIONS[encoder] | (options or {}))
        assert isinstance(stream, av.VideoStream)
        width, height = (film.width_px, film.height_px)[:: -1 if quarter_turns % 2 else 1]
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = _TICK
        for seconds, pixels in zip(frame_seconds, frames_of(film, frame_seconds), strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(np.rot90(pixels, quarter_turns)), format="rgb24")
            frame.pts, frame.time_base = round((seconds + start_seconds) / _TICK), _TICK
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def fingerprint(film: Film, *written_how: object) -> str:
    """Eight hexadecimal digits for the name of a cached file.

    They change with the film, with how it is drawn and encoded, and with `written_how`, whatever else the file's
    content depends on.
    """
    seen = hashlib.sha256(repr((film, ENCODER_OPTIONS, *written_how)).encode())
    for frame in frames_of(film, [scene.start_seconds + 1.5 for scene in film.scenes]):
        seen.update(frame.tobytes())
    return seen.hexdigest()[:8]


_TICK = Fraction(1, 90_000)  # seconds; fine enough for every frame rate, and what MPEG uses


def frames_of(film: Film, frame_seconds: Sequence[float]) -> Iterator[NDArray[np.uint8]]:
    """What is on the screen at each of `frame_seconds`, as (H, W, 3) uint8 RGB."""
    renderer = Renderer(film.width_px, film.height_px)
    for seconds in frame_seconds:
        yield renderer.frame(film.scene_at(seconds), seconds)
