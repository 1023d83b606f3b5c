"""What a model would say of the chunks of a film, one after another: the notes that merging is learned from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from pipeline.planning.visual_tokens import TEMPORAL_PATCH
from tools.demo_model.footage import FEW_SCENES, FEW_SCENES_SHARE, first_pairs, stamps
from tools.demo_model.language import Event
from tools.demo_model.scenes import COLOURS, LONGEST_SCENE_SECONDS, SHAPES, SHORTEST_SCENE_SECONDS

CHUNK_FPS = (2.0, 2.0, 2.0, 2.0, 1.0, 4.0)
"""Frames looked at per second; 2 most often, as it is the default."""
CHUNK_SECONDS = (8, 10, 12, 15, 20, 20, 30, 30, 40, 60, 60)
OVERLAP_SECONDS = (0, 1, 2, 2, 2, 3, 4)
FAULTLESS_SHARE = 0.7
"""Of the films. In the notes of the others events are wrong or left out, and whole notes are missing: merging must
neither mend nor drop what stands there."""
FAULTY_EVENT_SHARE, MISSING_NOTE_SHARE = 0.06, 0.05

Content = tuple[str, str]
"""Colour and shape."""
ALL: tuple[Content, ...] = tuple(product(COLOURS, SHAPES))


@dataclass(frozen=True)
class ChunkNote:
    """What was said of one chunk."""

    start_seconds: float
    stop_seconds: float
    events: list[Event]


@dataclass(frozen=True)
class _Timeline:
    """The scenes of a film: scene i, with `contents[i]`, is shown from `cuts_seconds[i]` until the next cut."""

    cuts_seconds: list[float]
    contents: list[Content]


def random_start_seconds(rng: np.random.Generator) -> float:
    """Where in a video a chunk may start: most often in its first quarter of an hour, on a whole second."""
    longest = (0.0, 60.0, 600.0, 900.0, 7200.0)[int(rng.choice(5, p=(0.15, 0.25, 0.35, 0.15, 0.1)))]
    start = float(rng.uniform(0, longest)) if longest else 0.0
    return float(round(start)) if rng.random() < 0.7 else start


def random_notes(rng: np.random.Generator, film_seconds: float) -> tuple[list[ChunkNote], float]:
    """The notes on a film of about that length, and the seconds between its pairs of frames."""
    step_seconds = TEMPORAL_PATCH / CHUNK_FPS[int(rng.integers(len(CHUNK_FPS)))]
    chunk_seconds, overlap_seconds = float(rng.choice(CHUNK_SECONDS)), float(rng.choice(OVERLAP_SECONDS))
    start = random_start_seconds(rng) if rng.random() < 0.3 else 0.0
    stop = start + max(film_seconds, chunk_seconds + 3)
    timeline = _random_timeline(rng, start, stop)
    is_faulty = rng.random() >= FAULTLESS_SHARE
    notes: list[ChunkNote] = []
    chunk_start, chunk_stop = start, start
    while chunk_stop < stop:
        chunk_stop = min(stop, chunk_start + chunk_seconds)
        if stop - chunk_stop < step_seconds:
            chunk_stop = stop
        events = _events(rng, timeline, (chunk_start, chunk_stop), step_seconds, is_faulty)
        if events and not (is_faulty and rng.random() < MISSING_NOTE_SHARE):
            notes.append(ChunkNote(chunk_start, chunk_stop, events))
        chunk_start += chunk_seconds - overlap_seconds
    return (notes, step_seconds) if notes else random_notes(rng, film_seconds)


def _random_timeline(rng: np.random.Generator, start_seconds: float, stop_seconds: float) -> _Timeline:
    cuts = [start_seconds - float(rng.uniform(0, 3)) if rng.random() < 0.5 else start_seconds]
    contents: list[Content] = []
    cast = _random_cast(rng)
    while cuts[-1] < stop_seconds:
        cuts.append(cuts[-1] + float(rng.uniform(SHORTEST_SCENE_SECONDS, LONGEST_SCENE_SECONDS)))
        contents.append(_random_content(rng, contents[-1] if contents else None, cast))
    return _Timeline(cuts, contents)


def _random_cast(rng: np.random.Generator) -> Sequence[Content]:
    """What a film may show: as in footage, few things in half of the films."""
    if rng.random() >= FEW_SCENES_SHARE:
        return ALL
    return [ALL[place] for place in rng.permutation(len(ALL))[: int(rng.integers(*FEW_SCENES))]]


def _events(
    rng: np.random.Generator,
    timeline: _Timeline,
    span_seconds: tuple[float, float],
    step_seconds: float,
    is_faulty: bool,
) -> list[Event]:
    start, stop = span_seconds
    num_frames = max(TEMPORAL_PATCH, int((stop - start) / step_seconds) * TEMPORAL_PATCH)
    pts = np.linspace(start, stop - float(rng.uniform(0.01, 0.12)), num_frames)
    shown = np.searchsorted(timeline.cuts_seconds, pts, side="right") - 1
    pair_seconds = stamps(pts)
    events: list[Event] = []
    for scene, pair in first_pairs(shown):
        content = timeline.contents[min(scene, len(timeline.contents) - 1)]
        if is_faulty and rng.random() < FAULTY_EVENT_SHARE:
            if rng.random() < 0.5 and events:
                continue
            content = _random_content(rng, content)
        if not events or events[-1].content != content:
            events.append(Event(pair_seconds[pair], *content))
    return events


def _random_content(rng: np.random.Generator, other_than: Content | None, cast: Sequence[Content] = ALL) -> Content:
    while True:
        content = cast[int(rng.integers(len(cast)))]
        if content != other_than:
            return content
