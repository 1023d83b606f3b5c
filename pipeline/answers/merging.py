"""One answer out of many: which notes are merged together so that each merge fits the engine's context."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace

from pipeline.answers.prompting import merge_prompt, text_token_bound
from pipeline.errors import InvalidRequest
from pipeline.types import Generation, Note, Prompt, TokenUsage

CUT_MARK = " [cut]"


@dataclass(frozen=True)
class MergeTask:
    """What is to be merged, and into what."""

    question: Prompt
    instruction: str
    notes: tuple[Note, ...]
    """In order of time."""

    @property
    def prompt(self) -> Prompt:
        return merge_prompt(self.question, self.instruction, self.notes)

    def merged(self, text: str) -> Note:
        """The note that stands for all of this task's notes."""
        return Note(self.notes[0].start_seconds, self.notes[-1].stop_seconds, text)


@dataclass(frozen=True)
class Merged:
    """The end of a merge: the last level's generation, and what all levels cost."""

    generation: Generation
    usage: TokenUsage
    levels: int


def merge_groups(task: MergeTask, *, max_prompt_tokens: int) -> list[MergeTask]:
    """Splits `task` into merges of consecutive notes, each with a prompt of at most `max_prompt_tokens`.

    A single group gives the answer; the results of several are the notes of the next level. Every group but the last
    holds at least two notes, so that levels shrink; notes too long for that are cut, visibly. Raises InvalidRequest
    when the question alone leaves no room.
    """
    room = max_prompt_tokens - _tokens(task, ())
    framing = max(_framing_tokens(task, note) for note in task.notes)
    most_bytes = room // 2 - framing
    if most_bytes < len(CUT_MARK):
        raise InvalidRequest(
            f"The prompts leave no room for the notes to be merged: {max_prompt_tokens} tokens of the context are "
            "left beside max_tokens. Shorten prompt or aggregation_prompt, or lower max_tokens.",
            param="aggregation_prompt",
        )
    groups: list[tuple[Note, ...]] = [()]
    for note in task.notes:
        short = replace(note, text=_cut(note.text, most_bytes))
        if groups[-1] and _tokens(task, (*groups[-1], short)) > max_prompt_tokens:
            groups.append(())
        groups[-1] = (*groups[-1], short)
    return [replace(task, notes=group) for group in groups]


def _tokens(task: MergeTask, notes: Sequence[Note]) -> int:
    return text_token_bound(merge_prompt(task.question, task.instruction, notes))


def _framing_tokens(task: MergeTask, note: Note) -> int:
    """What a note costs beside its text, and beside the one before it."""
    empty = replace(note, text="")
    return _tokens(task, (empty, empty)) - _tokens(task, (empty,))


def _cut(text: str, most_bytes: int) -> str:
    composed = unicodedata.normalize("NFC", text)  # as text_token_bound counts it
    encoded = composed.encode()
    if len(encoded) <= most_bytes:
        return composed
    return encoded[: most_bytes - len(CUT_MARK)].decode(errors="ignore") + CUT_MARK
