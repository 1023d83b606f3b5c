"""What counts as right, seen and invented. Without a server."""

from __future__ import annotations

import pytest

from tools.demo_model.language import Event
from tools.demo_model.scenes import Look, Scene
from tools.truth.scoring import Score, agreement, score

LOOK = Look("plain", 50, (0, 0, 0), 0, 1.0, 0.5, 0.0, (0.5, 0.5), (0.0, 0.0))
SCENES = (
    Scene(0, 5, "red", "circle", LOOK),
    Scene(5, 9, "blue", "square", LOOK),
    Scene(9, 14, "red", "circle", LOOK),
)
RIGHT = [Event(0.2, "red", "circle"), Event(5.2, "blue", "square"), Event(9.2, "red", "circle")]


def scored(*events: Event) -> Score:
    return score(SCENES, events, step_seconds=1.0)


def test_the_truth_is_right() -> None:
    assert scored(*RIGHT) == Score(scenes=3, seen=3, right=3, invented=0)


@pytest.mark.parametrize(
    ("seconds", "seen", "right"), [(4.0, 3, 3), (6.0, 3, 3), (6.1, 3, 2), (3.9, 2, 2), (10.1, 2, 2)]
)
def test_a_time_may_be_one_step_off(seconds: float, seen: int, right: int) -> None:
    told = scored(RIGHT[0], Event(seconds, "blue", "square"), RIGHT[2])
    assert (told.seen, told.right) == (seen, right)
    assert told.invented == 3 - seen


@pytest.mark.parametrize("content", [("blue", "circle"), ("red", "square"), ("green", "star")])
def test_another_colour_or_shape_is_invented(content: tuple[str, str]) -> None:
    assert scored(RIGHT[0], Event(5.2, *content), RIGHT[2]) == Score(3, 2, 2, 1)


def test_a_scene_left_out_is_missed_and_nothing_is_invented() -> None:
    assert scored(RIGHT[0], RIGHT[2]) == Score(3, 2, 2, 0)


def test_a_scene_told_twice_is_invented_once() -> None:
    assert scored(RIGHT[0], RIGHT[1], RIGHT[1], RIGHT[2]) == Score(3, 3, 3, 1)


def test_order_counts() -> None:
    told = scored(RIGHT[2], RIGHT[1], RIGHT[0])
    assert told.right == 1
    assert told.invented > 0


def test_silence_is_wrong() -> None:
    assert scored() == Score(3, 0, 0, 0)


def test_scores_add_up() -> None:
    assert Score(3, 3, 2, 1) + Score(1, 1, 1, 0) == Score(4, 4, 3, 1)
    assert (Score(4, 4, 3, 1).seen_share, Score(4, 4, 3, 1).right_share) == (1.0, 0.75)


def test_agreement_is_the_common_share() -> None:
    assert agreement(RIGHT, RIGHT, step_seconds=1) == 1
    assert agreement(RIGHT, RIGHT[:2], step_seconds=1) == pytest.approx(4 / 5)
    assert agreement(RIGHT, [Event(7, "green", "star")], step_seconds=1) == 0
    assert agreement([], [], step_seconds=1) == 1
