"""Training footage: scenes that have gone through a real encoder, Longtake's own decoder and its own resizing.

A reel is the frames of some scenes, one after another, at the size that the model sees. Examples splice scenes of one
reel anew, so that a few hundred reels give films without end.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from deployments.model_choice import DEMO_DEFAULTS
from pipeline.config import DecodingSettings
from pipeline.decoding.backends import InProcessBackends
from pipeline.decoding.chunk_decoder import ChunkDecoder
from pipeline.decoding.patches import pair_seconds
from pipeline.planning.visual_tokens import TEMPORAL_PATCH, smart_resize
from pipeline.types import Chunk
from tools.demo_model.language import Event
from tools.demo_model.scenes import Film, Scene, Split, fingerprint, random_film, write_film

SCENES_PER_REEL = 16
FRAMES_PER_SCENE = 26
"""At two frames per second: the longest scene, and a second more."""
REEL_FPS = 2
FEW_SCENES_SHARE = 0.5
FEW_SCENES = (3, 8)
"""From the first number to one below the second."""

SOURCE_SIZES_PX = (
    *((320, 180), (426, 240), (640, 360), (256, 144)),
    *((320, 240), (480, 360)),
    *((240, 240), (360, 360)),
    *((180, 320), (240, 426)),
    *((240, 320),),
    *((424, 180), (564, 240)),
)
"""Width and height of the films, in the aspect ratios of everyday video."""

ENCODERS = ("libx264", "libx264", "libx264", "libx265", "libvpx-vp9", "libsvtav1")
CRF_RANGES = {"libx264": (16, 36), "libx265": (18, 36), "libvpx-vp9": (20, 48), "libsvtav1": (24, 52)}


@dataclass(frozen=True, eq=False)
class Reel:
    """Frames of some scenes that share a size."""

    frames: NDArray[np.uint8]
    """(SCENES_PER_REEL, FRAMES_PER_SCENE, H, W, 3) RGB, at the model's size."""
    contents: tuple[tuple[str, str], ...]
    """Colour and shape of each scene."""

    @property
    def size_px(self) -> tuple[int, int]:
        return self.frames.shape[2], self.frames.shape[3]


def load_reel(folder: Path, seed: int) -> Reel:
    """Reel `seed` of the training split, from `folder`, made there first if need be."""
    path = folder / reel_name(seed)
    if not path.exists():
        reel = make_reel(seed)
        unfinished = path.with_suffix(".unfinished.npz")
        np.savez(unfinished, frames=reel.frames, contents=np.array(reel.contents))
        unfinished.rename(path)
    with np.load(path) as stored:
        return Reel(stored["frames"], tuple((str(colour), str(shape)) for colour, shape in stored["contents"]))


def load_reels(folder: Path, count: int) -> list[Reel]:
    return [load_reel(folder, seed) for seed in range(count)]


def reel_name(seed: int) -> str:
    """Of the file: another one when what the seed draws has changed."""
    return f"{seed:05}-{fingerprint(reel_film(seed))}.npz"


def make_reel(seed: int) -> Reel:
    film = reel_film(seed)
    rng = np.random.default_rng([Split.TRAIN, seed, 1])
    encoder = ENCODERS[int(rng.integers(len(ENCODERS)))]
    crf = int(rng.integers(*CRF_RANGES[encoder]))
    with TemporaryDirectory() as scratch:
        path = write_film(film, Path(scratch, "film.mp4"), fps=REEL_FPS, encoder=encoder, options={"crf": str(crf)})
        with closing(InProcessBackends(path)) as backends:
            frames = ChunkDecoder(backends, DecodingSettings().backend_order).decode(_whole(film)).frames
    _, model_height, model_width, _ = frames.shape
    return Reel(
        frames.reshape(SCENES_PER_REEL, FRAMES_PER_SCENE, model_height, model_width, 3),
        tuple((scene.colour, scene.shape) for scene in film.scenes),
    )


def reel_film(seed: int) -> Film:
    """What reel `seed` shows: scenes of one length."""
    rng = np.random.default_rng([Split.TRAIN, seed, 0])
    width, height = SOURCE_SIZES_PX[int(rng.integers(len(SOURCE_SIZES_PX)))]
    film = random_film(Split.TRAIN, seed, width_px=width, height_px=height, duration_seconds=400.0)
    seconds = FRAMES_PER_SCENE / REEL_FPS
    scenes: tuple[Scene, ...] = tuple(
        replace(scene, start_seconds=i * seconds, stop_seconds=(i + 1) * seconds)
        for i, scene in enumerate(film.scenes[:SCENES_PER_REEL])
    )
    assert len(scenes) == SCENES_PER_REEL, "400 s hold more scenes than that"
    return replace(film, scenes=scenes)


def _whole(film: Film) -> Chunk:
    height, width = smart_resize(
        film.height_px, film.width_px, min_pixels=DEMO_DEFAULTS.min_pixels, max_pixels=DEMO_DEFAULTS.max_pixels
    )
    indices = np.arange(SCENES_PER_REEL * FRAMES_PER_SCENE)
    return Chunk(0, 0.0, film.duration_seconds, indices, indices / REEL_FPS, 0.0, height, width)


@dataclass(frozen=True, eq=False)
class Footage:
    """A chunk as the model sees it, and what there is to say about it."""

    frames: NDArray[np.uint8]
    """(T, H, W, 3) RGB, T even."""
    pair_seconds: tuple[float, ...]
    """The time that stands before each pair."""
    events: tuple[Event, ...]


def splice(
    rng: np.random.Generator, reel: Reel, pts_seconds: NDArray[np.float64], *, scene_seconds: tuple[float, float]
) -> Footage:
    """Random scenes of `reel`, each as long as `scene_seconds` allows, looked at at `pts_seconds` (T,)."""
    cuts = [float(pts_seconds[0]) - float(rng.uniform(0, scene_seconds[0]))]
    while cuts[-1] <= pts_seconds[-1]:
        cuts.append(cuts[-1] + float(rng.uniform(*scene_seconds)))
    shown = np.searchsorted(cuts, pts_seconds, side="right") - 1
    order = _random_order(rng, reel, int(shown[-1]) + 1)
    frames = np.empty((len(pts_seconds), *reel.frames.shape[2:]), np.uint8)
    stamped = stamps(pts_seconds)
    for place in np.unique(shown):
        at = np.flatnonzero(shown == place)
        scene = order[place]
        offset = int(rng.integers(max(1, FRAMES_PER_SCENE - len(at))))
        frames[at] = reel.frames[scene, (offset + np.arange(len(at))) % FRAMES_PER_SCENE]
    events = [Event(stamped[pair], *reel.contents[order[place]]) for place, pair in first_pairs(shown)]
    return Footage(_varied(rng, frames), stamped, tuple(events))


def first_pairs(shown: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Each scene that a pair of frames ends with, and the first such pair, out of the scene of each frame (T,).

    So no pair has two events. A scene of which a chunk has nothing but its first frame is not told.
    """
    ends = shown[TEMPORAL_PATCH - 1 :: TEMPORAL_PATCH]
    return [(int(scene), int(pair)) for scene, pair in zip(*np.unique(ends, return_index=True), strict=True)]


def stamps(pts_seconds: NDArray[np.float64]) -> tuple[float, ...]:
    """The mean time of each pair, as the engine prints it."""
    return tuple(round(seconds, 1) for seconds in pair_seconds(pts_seconds))


def _random_order(rng: np.random.Generator, reel: Reel, count: int) -> list[int]:
    """Scenes, with no two in a row of the same content.

    In half of the films they are few, shown again and again: what tells them apart is then the time alone.
    """
    cast = np.arange(SCENES_PER_REEL)
    if rng.random() < FEW_SCENES_SHARE:
        few = rng.permutation(cast)[: int(rng.integers(*FEW_SCENES))]
        if len({reel.contents[scene] for scene in few.tolist()}) > 1:
            cast = few
    order: list[int] = []
    while len(order) < count:
        scene = int(rng.choice(cast))
        if not order or reel.contents[scene] != reel.contents[order[-1]]:
            order.append(scene)
    return order


def _varied(rng: np.random.Generator, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Mirrored or not, a little brighter or darker."""
    if rng.random() < 0.5:
        frames = frames[:, :, ::-1]
    brightness = rng.uniform(0.92, 1.06)
    varied: NDArray[np.uint8] = np.clip(frames * np.float32(brightness), 0, 255).astype(np.uint8)
    return varied
