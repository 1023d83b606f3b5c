"""Films of coloured shapes: what they show is known, and stays known once they are files."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tools.demo_model.scenes import (
    COLOURS,
    ENCODER_OPTIONS,
    LONGEST_SCENE_SECONDS,
    SHAPES,
    SHORTEST_SCENE_SECONDS,
    Film,
    Look,
    Renderer,
    Scene,
    Split,
    frames_of,
    random_film,
    write_film,
)

Picture = NDArray[np.uint8]
WIDTH, HEIGHT = 96, 64  # px


def film_of(seed: int, seconds: float = 60.0, split: Split = Split.TEST) -> Film:
    return random_film(split, seed, width_px=WIDTH, height_px=HEIGHT, duration_seconds=seconds)


def look(start: tuple[float, float] = (0.5, 0.5), angle: float = 0.0, size: float = 0.6) -> Look:
    """Still, before a dark plain background."""
    return Look("plain", 40, (0, 0, 0), 0, 1.0, size, angle, start, (0.0, 0.0))


def picture(colour: str, shape: str, size_px: tuple[int, int] = (WIDTH, HEIGHT), **of_look: object) -> Picture:
    scene = Scene(0.0, 1.0, colour, shape, look(**of_look))  # type: ignore[arg-type]
    return Renderer(*size_px).frame(scene, 0.0)


def is_colour(pixels: Picture, colour: str) -> NDArray[np.bool_]:
    """(H, W): which pixels have it, in one of the shades that a film gives it and an encoder leaves of it."""
    shades = np.linspace(0.85, 1.0, 4, dtype=np.float32)[:, None] * np.array(COLOURS[colour], np.float32)
    rgb = pixels.astype(np.float32)
    squares = (rgb**2).sum(-1)[..., None] - 2 * rgb @ shades.T + (shades**2).sum(-1)  # (H, W, 4): |rgb - shade|^2
    near: NDArray[np.bool_] = squares.min(axis=-1) < 45**2
    return near


def colour_of(pixels: Picture) -> str:
    """The named colour of most pixels."""
    return max(COLOURS, key=lambda colour: int(is_colour(pixels, colour).sum()))


# --- What a film is ---------------------------------------------------------------------------------------------------


def test_a_seed_gives_the_same_film_again() -> None:
    assert film_of(3) == film_of(3)
    assert film_of(3) != film_of(4)


def test_a_seed_gives_the_same_pictures_again() -> None:
    times = [0.0, 1.3, 20.0]
    for first, second in zip(frames_of(film_of(3), times), frames_of(film_of(3), times), strict=True):
        assert np.array_equal(first, second)


def test_no_film_of_one_split_is_one_of_another() -> None:
    films = [film_of(seed, split=split) for split in Split for seed in range(20)]
    assert len(set(films)) == len(films)


@pytest.mark.parametrize("seconds", [0.5, 3.0, 5.9, 6.1, 100.0])
def test_scenes_fill_the_film_without_a_gap(seconds: float) -> None:
    for seed in range(30):
        film = film_of(seed, seconds)
        assert film.scenes[0].start_seconds == 0
        assert film.duration_seconds == film.scenes[-1].stop_seconds == seconds
        assert all(before.stop_seconds == after.start_seconds for before, after in pairwise(film.scenes))


def test_scenes_last_as_long_as_they_may() -> None:
    """The last one alone may be longer: a rest too short for a scene of its own joins it."""
    for seed in range(50):
        lengths = [scene.stop_seconds - scene.start_seconds for scene in film_of(seed).scenes]
        assert min(lengths) >= SHORTEST_SCENE_SECONDS - 0.006  # they end at hundredths of a second
        assert max(lengths[:-1]) <= LONGEST_SCENE_SECONDS + 0.006
        assert lengths[-1] <= LONGEST_SCENE_SECONDS + SHORTEST_SCENE_SECONDS


def test_neighbours_differ() -> None:
    """Two scenes of one content in a row would be one scene to whoever watches."""
    for seed in range(50):
        for before, after in pairwise(film_of(seed).scenes):
            assert (before.colour, before.shape) != (after.colour, after.shape)


def test_a_scene_is_on_the_screen_until_the_next_begins() -> None:
    film = film_of(0)
    first, second = film.scenes[:2]
    assert film.scene_at(0) is first
    assert film.scene_at(np.nextafter(first.stop_seconds, 0)) is first
    assert film.scene_at(first.stop_seconds) is second
    assert film.scene_at(film.duration_seconds) is film.scenes[-1]
    assert film.scene_at(1e9) is film.scenes[-1]


# --- What a picture shows ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_has_its_colour_and_stands_where_it_should(shape: str, colour: str) -> None:
    shown = is_colour(picture(colour, shape), colour)
    assert 0.05 < shown.mean() < 0.4
    rows, columns = np.nonzero(shown)
    y, x = rows.mean(), columns.mean()
    assert abs(y - HEIGHT / 2) < 5 and abs(x - WIDTH / 2) < 2
    middle = shown[round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3]
    assert not middle.any() if shape == "ring" else middle.all()


def test_no_two_shapes_look_alike() -> None:
    masks = [is_colour(picture("red", shape), "red") for shape in SHAPES]
    for i, one in enumerate(masks):
        for other in masks[:i]:
            assert (one ^ other).sum() > 0.1 * (one | other).sum()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [0.46, 0.8])
def test_a_shape_stays_inside_the_frame(shape: str, size: float) -> None:
    """But for a corner's tip: a turned triangle is 5% wider than the circle that its way is reckoned with."""

    def area(start: tuple[float, float], angle: float) -> int:
        return int(is_colour(picture("red", shape, (360, 240), start=start, angle=angle, size=size), "red").sum())

    for angle in (-0.14, 0.0, 0.14):
        whole = area((0.5, 0.5), angle)
        for start in ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0), (1.0, 1.0)):
            assert area(start, angle) > 0.97 * whole


def test_a_shape_moves_and_turns_back_at_the_border() -> None:
    moving = Look("plain", 40, (0, 0, 0), 0, 1.0, 0.5, 0.0, (0.0, 0.5), (0.25, 0.0))
    scene = Scene(10.0, 30.0, "red", "square", moving)
    columns = [
        np.nonzero(is_colour(Renderer(WIDTH, HEIGHT).frame(scene, seconds), "red"))[1].mean()
        for seconds in (10.0, 12.0, 14.0, 16.0, 18.0)
    ]
    assert columns[0] < columns[1] < columns[2] > columns[3] > columns[4]
    assert columns[4] == pytest.approx(columns[0], abs=0.5)


@pytest.mark.parametrize("size_px", [(90, 400), (640, 64), (64, 64), (2, 2), (33, 17)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_frame_may_have_any_shape(size_px: tuple[int, int], seed: int) -> None:
    width, height = size_px
    film = random_film(Split.TEST, seed, width_px=width, height_px=height, duration_seconds=40)
    times = np.arange(0, 40, 2.5).tolist()
    for seconds, pixels in zip(times, frames_of(film, times), strict=True):
        assert pixels.shape == (height, width, 3) and pixels.dtype == np.uint8
        if min(size_px) > 32:
            assert colour_of(pixels[::2, ::2]) == film.scene_at(seconds).colour


def test_every_background_lets_every_colour_be_seen() -> None:
    """Those of 30 films at the size that the model sees: nothing in the background passes for a colour."""
    for seed in range(30):
        film = film_of(seed)
        times = [scene.start_seconds + 0.5 for scene in film.scenes]
        for scene, pixels in zip(film.scenes, frames_of(film, times), strict=True):
            assert colour_of(pixels) == scene.colour


@pytest.mark.parametrize("colour", ["red", "blue", "yellow", "cyan", "orange"])
def test_swapped_channels_change_the_colour(colour: str) -> None:
    """So that a model that says the right colour has been given RGB, and not BGR."""
    for shape in SHAPES:
        assert not is_colour(picture(colour, shape)[..., ::-1], colour).any()


# --- Files ------------------------------------------------------------------------------------------------------------

SHORT_FILM = random_film(
    Split.TEST, 5, width_px=WIDTH, height_px=HEIGHT, duration_seconds=8,
    shortest_scene_seconds=1.2, longest_scene_seconds=2.5,
)  # fmt: skip
CODECS = {"libx264": "h264", "libx265": "hevc", "libvpx-vp9": "vp9", "libsvtav1": "av1"}
ENDINGS = {"libvpx-vp9": "webm"}


def decoded(path: Path) -> Iterator[tuple[float, Picture]]:
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            assert frame.time is not None
            yield frame.time, frame.to_ndarray(format="rgb24")


def assert_shows(film: Film, path: Path, *, start_seconds: float = 0.0) -> list[float]:
    """Every frame of `path` is that of `film` at its time, above all beside the cuts. Returns the times."""
    renderer = Renderer(film.width_px, film.height_px)
    times = []
    for time, pixels in decoded(path):
        seconds = time - start_seconds
        scene = film.scene_at(seconds + 5e-4)  # Matroska's clock ticks in milliseconds
        distances = {
            other: np.abs(pixels - renderer.frame(other, seconds).astype(float)).mean() for other in film.scenes
        }
        assert min(distances, key=distances.__getitem__) == scene, f"at {seconds} s"
        assert distances[scene] < 8
        assert colour_of(pixels) == scene.colour
        times.append(seconds)
    return times


def test_the_film_of_these_tests_has_cuts_of_every_kind() -> None:
    assert len(SHORT_FILM.scenes) == 4
    assert len({scene.colour for scene in SHORT_FILM.scenes}) == 4


@pytest.mark.parametrize("encoder", ENCODER_OPTIONS)
def test_a_file_shows_the_film(tmp_path: Path, encoder: str) -> None:
    path = write_film(SHORT_FILM, tmp_path / f"film.{ENDINGS.get(encoder, 'mp4')}", fps=10, encoder=encoder)
    assert assert_shows(SHORT_FILM, path) == pytest.approx(np.arange(80) / 10)
    with av.open(str(path)) as container:
        (stream,) = container.streams.video
        assert stream.codec_context.codec.canonical_name == CODECS[encoder]
        assert (stream.width, stream.height) == (WIDTH, HEIGHT)
        assert stream.average_rate == 10


def test_a_file_has_the_frame_rate_asked_for(tmp_path: Path) -> None:
    path = write_film(SHORT_FILM, tmp_path / "film.mp4", fps=Fraction(30000, 1001))
    times = assert_shows(SHORT_FILM, path)
    assert times == pytest.approx(np.arange(240) * 1001 / 30000, abs=1e-4)


@pytest.mark.parametrize(
    ("ending", "demuxer", "doctype"),
    [("mp4", "mov,mp4", b"ftyp"), ("mkv", "matroska", b"matroska"), ("webm", "matroska", b"webm")],
)
def test_the_ending_names_the_container(tmp_path: Path, ending: str, demuxer: str, doctype: bytes) -> None:
    path = write_film(SHORT_FILM, tmp_path / f"film.{ending}", fps=5, encoder="libvpx-vp9")
    assert doctype in path.read_bytes()[:64]
    with av.open(str(path)) as container:
        assert container.format.name.startswith(demuxer)


@pytest.mark.parametrize("ending", ["mp4", "mkv"])
@pytest.mark.parametrize("start_seconds", [0.0, 3.5])
def test_a_file_may_have_frames_at_any_time(tmp_path: Path, ending: str, start_seconds: float) -> None:
    """The first frame need not come at 0 on the file's clock, and none need come at even steps."""
    rng = np.random.default_rng(0)
    times = np.concatenate([[0.0], np.cumsum(rng.uniform(0.02, 0.4, 37))])
    assert times[-1] > SHORT_FILM.scenes[-1].start_seconds + 1
    path = write_film(
        SHORT_FILM, tmp_path / f"film.{ending}", frame_seconds=times.tolist(), start_seconds=start_seconds
    )
    assert assert_shows(SHORT_FILM, path, start_seconds=start_seconds) == pytest.approx(times, abs=6e-4)


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_pictures_may_be_laid_down(tmp_path: Path, quarter_turns: int) -> None:
    """As a telephone records them, for a player to turn clockwise."""
    path = write_film(SHORT_FILM, tmp_path / "film.mp4", fps=5, quarter_turns=quarter_turns)
    upright = list(frames_of(SHORT_FILM, (np.arange(40) / 5).tolist()))
    for (_, pixels), expected in zip(decoded(path), upright, strict=True):
        assert np.abs(np.rot90(pixels, -quarter_turns) - expected.astype(float)).mean() < 8


def test_an_encoders_options_may_be_changed(tmp_path: Path) -> None:
    sharp, coarse = (
        write_film(SHORT_FILM, tmp_path / f"crf{crf}.mp4", fps=5, options={"crf": crf}) for crf in ("16", "40")
    )
    assert sharp.stat().st_size > 1.5 * coarse.stat().st_size
