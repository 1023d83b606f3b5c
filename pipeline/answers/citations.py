"""Check the times that an answer gives against the chunk answers.

A time is supported if

- a chunk answer gives a time within one sampling step of it (the time between two pairs of frames), and the chunk was
  shown that time: a model is no witness of what it was not shown; or
- a chunk answer gives no time at all, and its chunk covers this one.

If either time is written in whole seconds, one more second may lie between them: the model may have rounded or cut it
off. Only times are checked, not whether the chunk reports the same event. The answer stays as the model wrote it;
citations and a notice name what nothing supports.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.answers.times import FoundTime, times_in
from pipeline.types import ChunkAnswer, Citation

WHOLE_SECOND = 1.0
_TENTH = 0.1
"""The model is shown times, and writes them, to a tenth of a second."""
_ROUNDING = 1e-6
MOST_NAMED = 10
"""Unsupported times that a notice names; the citations have all of them."""


def cited(answer: str | None, chunk_answers: Sequence[ChunkAnswer], *, step_seconds: float) -> tuple[Citation, ...]:
    """Check every time in `answer`, in order. `step_seconds` is the time between two pairs of frames."""
    if answer is None:
        return ()
    witnesses = [_Witness.of(chunk) for chunk in chunk_answers if chunk.text]
    return tuple(_citation(time, witnesses, step_seconds) for time in times_in(answer))


def unsupported_notice(citations: Sequence[Citation]) -> str | None:
    """Name the times that no chunk answer supports; `None` if all are supported."""
    texts = list(dict.fromkeys(citation.text for citation in citations if not citation.is_supported))
    if not texts:
        return None
    named = ", ".join(texts[:MOST_NAMED]) + (f" and {len(texts) - MOST_NAMED} more" if texts[MOST_NAMED:] else "")
    return f"No chunk's answer supports {'this time' if len(texts) == 1 else 'these times'} of the answer: {named}."


@dataclass(frozen=True)
class _Witness:
    """A chunk's answer, and the times in it that the chunk was shown."""

    chunk: ChunkAnswer
    times: tuple[FoundTime, ...]
    gives_times: bool

    @classmethod
    def of(cls, chunk: ChunkAnswer) -> _Witness:
        assert chunk.text is not None
        found = tuple(times_in(chunk.text.generation.text))
        return cls(chunk, tuple(time for time in found if _saw(chunk, time)), bool(found))

    def distance(self, time: FoundTime, step_seconds: float) -> float | None:
        """Seconds from `time` to the nearest time that supports it; `None` if none does."""
        if not self.gives_times:
            # Farther than any time that a chunk gives.
            return step_seconds + 2 * WHOLE_SECOND if _saw(self.chunk, time) else None
        near = (
            abs(own.seconds - time.seconds)
            for own in self.times
            if abs(own.seconds - time.seconds)
            <= step_seconds + (WHOLE_SECOND if own.is_whole or time.is_whole else 0.0) + _ROUNDING
        )
        return min(near, default=None)


def _citation(time: FoundTime, witnesses: Sequence[_Witness], step_seconds: float) -> Citation:
    distances = ((witness.distance(time, step_seconds), witness.chunk.chunk_index) for witness in witnesses)
    supporting = [(distance, index) for distance, index in distances if distance is not None]
    chunk_index = min(supporting)[1] if supporting else None
    return Citation(time.text, time.seconds, time.start, time.stop, chunk_index)


def _saw(chunk: ChunkAnswer, time: FoundTime) -> bool:
    slack_seconds = WHOLE_SECOND if time.is_whole else _TENTH
    return chunk.start_seconds - slack_seconds <= time.seconds <= chunk.stop_seconds + slack_seconds
