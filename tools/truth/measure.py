"""Asking a server about films whose truth is known, and counting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployments.api.options import DEFAULT_FPS
from longtake import Longtake
from pipeline.planning.visual_tokens import TEMPORAL_PATCH
from tools.demo_model.language import LIST_PROMPT, Event, heard
from tools.truth.clips import Clip
from tools.truth.scoring import Score, score

FPS = DEFAULT_FPS
STEP_SECONDS = TEMPORAL_PATCH / FPS
"""Between the times that the model is shown: one for each pair of frames."""
MAX_TOKENS = 1024
"""Ten minutes of film make an answer of about 400."""


@dataclass(frozen=True)
class Told:
    """What a server said about a clip."""

    clip: Clip
    events: tuple[Event, ...]
    answer: dict[str, Any]

    @property
    def score(self) -> Score:
        return score(self.clip.film.scenes, self.events, step_seconds=STEP_SECONDS)


def ask(client: Longtake, clip: Clip, folder: Path, **options: Any) -> Told:
    """Uploads `clip` and has its scenes listed."""
    options = {"fps": FPS, "max_tokens": MAX_TOKENS, "seed": 0} | options
    answer = client.analyze(clip.written(folder), LIST_PROMPT, **options).raw
    return Told(clip, tuple(heard(answer["aggregated_response"] or "")), answer)


def ask_whole(client: Longtake, clips: Iterable[Clip], folder: Path) -> Iterator[Told]:
    """Each clip as a single chunk, so that nothing is merged."""
    for clip in clips:
        told = ask(client, clip, folder, chunk_duration=clip.film.duration_seconds + 1)
        assert told.answer["num_chunks"] == 1, "the clip is one chunk"
        yield told
