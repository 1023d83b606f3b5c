"""What the demo model says about films it never saw, through HTTP and the whole graph. `make truth` measures more."""

from __future__ import annotations

from itertools import pairwise

import pytest

from longtake import Longtake
from tools.truth.clips import CODECS, FOLDER, KINDS, Clip, in_every_codec, long_film, unseen_clips
from tools.truth.measure import STEP_SECONDS, Told, ask, ask_whole
from tools.truth.scoring import Score, agreement

CLIPS = unseen_clips(28)
FILM = long_film(600)


@pytest.fixture(scope="module")
def told(client: Longtake) -> list[Told]:
    return list(ask_whole(client, CLIPS, FOLDER))


def _score(told: list[Told]) -> Score:
    return sum((one.score for one in told), Score())


def _faults(told: list[Told]) -> str:
    """For the eye of whoever reads a failure."""
    return "\n".join(
        f"{one.clip.name}: truth {[(s.start_seconds, s.colour, s.shape) for s in one.clip.film.scenes]}, "
        f"said {one.answer['aggregated_response']}"
        for one in told
        if one.score.right < one.score.scenes or one.score.invented
    )


def test_scenes_of_unseen_clips_are_told_with_their_time(told: list[Told]) -> None:
    assert {one.clip.codec for one in told} == set(CODECS)
    assert {one.clip.kind for one in told} == set(KINDS)
    whole = _score(told)
    assert whole.scenes > 90
    assert whole.right_share >= 0.97, _faults(told)
    assert whole.invented_share <= 0.03, _faults(told)


@pytest.mark.parametrize("kind", KINDS)
def test_no_kind_of_file_is_told_worse(kind: str, told: list[Told]) -> None:
    of_kind = [one for one in told if one.clip.kind == kind]
    assert _score(of_kind).right_share >= 0.9, _faults(of_kind)


# In chunks of a minute it still invents one or two: models/demo/README.md.
@pytest.mark.parametrize(
    ("duration", "overlap"),
    [
        (30, 2),
        (20, 4),
        (45, 1),
        pytest.param(60, 2, marks=pytest.mark.slow),
        pytest.param(60, 0, marks=pytest.mark.slow),
    ],
)
def test_a_film_in_chunks_is_told_whole_and_nothing_twice(duration: float, overlap: float, client: Longtake) -> None:
    told = ask(client, FILM, FOLDER, chunk_duration=duration, chunk_overlap=overlap)
    assert told.score.right_share >= 0.95, _faults([told])
    assert told.score.invented == 0, _faults([told])
    times = [event.seconds for event in told.events]
    assert all(earlier < later for earlier, later in pairwise(times))


def test_every_codec_and_chunking_gives_the_same_events(client: Longtake) -> None:
    short = long_film(90, seed=10_001)
    asked = [ask(client, clip, FOLDER, chunk_duration=30) for clip in in_every_codec(short)]
    asked.append(ask(client, short, FOLDER, chunk_duration=20, chunk_overlap=4))
    first, *others = asked
    for other in others:
        assert agreement(first.events, other.events, step_seconds=STEP_SECONDS) >= 0.95, _faults([first, other])


def test_part_of_a_film_is_told_with_the_films_own_times(client: Longtake) -> None:
    told = ask(client, FILM, FOLDER, video_start=300, video_end=360)
    scenes = [scene for scene in FILM.film.scenes if scene.stop_seconds > 301 and scene.start_seconds < 359]
    assert [event.content for event in told.events] == [(scene.colour, scene.shape) for scene in scenes]
    assert all(
        abs(event.seconds - max(scene.start_seconds, 300)) <= STEP_SECONDS
        for event, scene in zip(told.events, scenes, strict=True)
    )


def test_the_answer_says_what_the_model_is(client: Longtake) -> None:
    clip: Clip = CLIPS[0]
    notice = ask(client, clip, FOLDER).answer["notice"]
    assert "generated films" in notice and "serve_config.yaml" in notice
