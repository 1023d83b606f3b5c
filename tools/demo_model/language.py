"""What the demo model is taught to say, and the questions it is asked in training.

A list of events, each the time of the first pair of frames that shows a scene, its colour and its shape:
`0.2 red circle. 4.2 blue square.`
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.answers.prompting import DEFAULT_MERGE_INSTRUCTION, OVERLAP_RULE
from pipeline.types import Prompt
from tools.demo_model.scenes import COLOURS, SHAPES

LIST_PROMPT = "List every scene with the time it starts."
PROMPTS = (
    LIST_PROMPT,
    "Describe what happens, with times.",
    "Describe this video.",
    "What happens in this video?",
    "What happens?",
    "Which shapes are shown, and when?",
    "Describe the video and say when each scene starts.",
    "List all events in order, each with its time.",
)
"""The questions that training asks most; a part of the examples asks something else, and the answer is the same."""

INSTRUCTION_WITHOUT_OVERLAP_RULE = DEFAULT_MERGE_INSTRUCTION.replace(f" {OVERLAP_RULE}", "")
"""Under this one the notes are to be listed as they stand: so a rule that got lost shows in the answer."""

EVENT = re.compile(rf"(\d+(?:\.\d+)?) ({'|'.join(COLOURS)}) ({'|'.join(SHAPES)})\.")


@dataclass(frozen=True)
class Event:
    """A scene as the model tells of it."""

    seconds: float
    """Of the first pair of frames that shows it: what stood before these frames in the model's prompt."""
    colour: str
    shape: str

    @property
    def content(self) -> tuple[str, str]:
        return self.colour, self.shape

    def __str__(self) -> str:
        return f"{self.seconds:.1f} {self.colour} {self.shape}."


def told(events: Iterable[Event]) -> str:
    return " ".join(map(str, events))


def heard(text: str) -> list[Event]:
    """The events in a model's answer; whatever else it says is passed over."""
    return [Event(float(seconds), colour, shape) for seconds, colour, shape in EVENT.findall(text)]


def merged(notes: Sequence[Sequence[Event]], *, same_moment_seconds: float) -> list[Event]:
    """One list out of those of consecutive parts: what two neighbours both show stands there once.

    They both show the scene that goes on across their border, with which the later note opens, and every scene that
    begins where they overlap, at nearly the same moment in both.
    """
    told_before = repeats(notes, same_moment_seconds=same_moment_seconds)
    events = [event for note in notes for event in note]
    return [event for event, is_repeat in zip(events, told_before, strict=True) if not is_repeat]


def repeats(notes: Sequence[Sequence[Event]], *, same_moment_seconds: float) -> list[bool]:
    """Of every event of the notes, one after another, whether the note before tells it too."""
    befores: list[Sequence[Event]] = [(), *notes]
    return [
        _is_told(event, before, event is note[0], same_moment_seconds)
        for before, note in zip(befores, notes, strict=False)
        for event in note
    ]


def _is_told(event: Event, before: Sequence[Event], opens_note: bool, same_moment_seconds: float) -> bool:
    if opens_note:
        return event.content in {other.content for other in _shown(before, event.seconds, same_moment_seconds)}
    return any(
        other.content == event.content and abs(other.seconds - event.seconds) <= same_moment_seconds for other in before
    )


def _shown(events: Sequence[Event], seconds: float, within_seconds: float) -> list[Event]:
    """Those on the screen about then; the last one of a note stays there."""
    stops = [*(event.seconds for event in events[1:]), float("inf")]
    return [
        event
        for event, stop in zip(events, stops, strict=False)
        if event.seconds <= seconds + within_seconds and stop >= seconds - within_seconds
    ]


def random_prompt(rng: np.random.Generator, words: Sequence[str]) -> Prompt:
    """One of PROMPTS, or some of `words`."""
    if rng.random() < 0.8:
        text = PROMPTS[int(rng.integers(len(PROMPTS)))]
    else:
        text = " ".join(rng.choice(words, int(rng.integers(2, 12)))) + "?"
    return Prompt(text)
