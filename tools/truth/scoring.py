"""How much of what a model says about a film is true, and how much of the truth it says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import product
from typing import Self, TypeVar

from tools.demo_model.language import Event
from tools.demo_model.scenes import Scene

_A = TypeVar("_A")
_B = TypeVar("_B")


@dataclass(frozen=True)
class Score:
    """Counts; scores of several answers add up."""

    scenes: int = 0
    """That the film shows."""
    seen: int = 0
    """Told of in order, in the right colour and shape, at a time at which they are on the screen."""
    right: int = 0
    """Told of in order, in the right colour and shape, and no more than one step from the time they start."""
    invented: int = 0
    """Events told of that no scene answers for; telling of a scene twice is one too."""

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @property
    def seen_share(self) -> float:
        return self.seen / self.scenes if self.scenes else 1.0

    @property
    def right_share(self) -> float:
        return self.right / self.scenes if self.scenes else 1.0

    @property
    def invented_share(self) -> float:
        """Of what is told."""
        told = self.seen + self.invented
        return self.invented / told if told else 0.0


def score(scenes: Sequence[Scene], events: Sequence[Event], *, step_seconds: float) -> Score:
    """`events` held against `scenes`.

    Args:
        step_seconds: between the times that the model is shown, one for each pair of frames. It cannot tell more
            exactly: a scene that starts right after a frame is first seen a whole step later.
    """
    seen = len(seen_pairs(scenes, events, step_seconds=step_seconds))
    right = _aligned(scenes, events, lambda scene, event: is_right(scene, event, step_seconds))
    return Score(len(scenes), seen, len(right), len(events) - seen)


def seen_pairs(scenes: Sequence[Scene], events: Sequence[Event], *, step_seconds: float) -> list[tuple[int, int]]:
    """Which scene each event tells of, by their places in both; events that tell of none are left out."""
    return _aligned(scenes, events, lambda scene, event: _is_on_screen(scene, event, step_seconds))


def agreement(first: Sequence[Event], second: Sequence[Event], *, step_seconds: float) -> float:
    """The share of events that two answers have in common, in order, with times no more than one step apart."""
    if not first and not second:
        return 1.0
    common = _aligned(first, second, lambda a, b: a.content == b.content and abs(a.seconds - b.seconds) <= step_seconds)
    return 2 * len(common) / (len(first) + len(second))


def is_right(scene: Scene, event: Event, tolerance_seconds: float) -> bool:
    """Whether `event` tells of `scene`, at the time it starts."""
    return _looks_like(scene, event) and abs(event.seconds - scene.start_seconds) <= tolerance_seconds


def _is_on_screen(scene: Scene, event: Event, tolerance_seconds: float) -> bool:
    started = event.seconds >= scene.start_seconds - tolerance_seconds
    return _looks_like(scene, event) and started and event.seconds <= scene.stop_seconds + tolerance_seconds


def _looks_like(scene: Scene, event: Event) -> bool:
    return (scene.colour, scene.shape) == event.content


def _aligned(first: Sequence[_A], second: Sequence[_B], same: Callable[[_A, _B], bool]) -> list[tuple[int, int]]:
    """A longest common subsequence of both, as the places of its members."""
    lengths = [[0] * (len(second) + 1) for _ in range(len(first) + 1)]
    for i, j in product(reversed(range(len(first))), reversed(range(len(second)))):
        longer = max(lengths[i + 1][j], lengths[i][j + 1])
        lengths[i][j] = max(longer, lengths[i + 1][j + 1] + 1) if same(first[i], second[j]) else longer
    pairs, i, j = [], 0, 0
    while i < len(first) and j < len(second):
        if lengths[i][j] == lengths[i + 1][j]:
            i += 1
        elif lengths[i][j] == lengths[i][j + 1]:
            j += 1
        else:
            pairs.append((i, j))
            i, j = i + 1, j + 1
    return pairs
