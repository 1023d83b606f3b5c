"""Check the times that an answer gives against the chunk answers.

A time is supported if

- a chunk answer gives a time within one sampling step of it (the time between two pairs of frames), and the chunk
  contains that time: a model cannot report about frames that it did not see; or
- a chunk answer gives no time at all, and its chunk covers this one.

If either time is written in whole seconds, the tolerance grows by one second, because the model may have rounded or
truncated it. Only times are checked, not whether the chunk reports the same event. The answer stays as the model wrote
it; citations and a notice list the unsupported times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.answers.times import FoundTime, times_in
from pipeline.types import ChunkAnswer, Citation

WHOLE_SECOND = 1.0
_TENTH = 0.1
"""Precision of the times in prompts and answers: a tenth of a second."""
_ROUNDING = 1e-6
MAX_LISTED = 10
"""Limit on the unsupported times in a notice; the citations list all of them."""


def check_citations(
    answer: str | None, chunk_answers: Sequence[ChunkAnswer], *, step_seconds: float
) -> tuple[Citation, ...]:
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
    named = ", ".join(texts[:MAX_LISTED]) + (f" and {len(texts) - MAX_LISTED} more" if texts[MAX_LISTED:] else "")
    return f"No chunk's answer supports {'this time' if len(texts) == 1 else 'these times'} of the answer: {named}."


@dataclass(frozen=True)
class _Witness:
    """A chunk's answer, and the times in it that lie within the chunk."""

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
            # Farther than any distance to a time that a chunk gives, so that such a chunk is preferred.
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
