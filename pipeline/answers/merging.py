"""Group notes so that each merge fits the engine's context."""

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
    """Notes to merge into an answer to one question."""

    question: Prompt
    instruction: str
    notes: tuple[Note, ...]
    """In order of time."""

    @property
    def prompt(self) -> Prompt:
        return merge_prompt(self.question, self.instruction, self.notes)

    def merged(self, text: str) -> Note:
        """The note that replaces all notes of this task on the next level."""
        return Note(self.notes[0].start_seconds, self.notes[-1].stop_seconds, text)


@dataclass(frozen=True)
class Merged:
    """The result of a merge: the last level's generation, and the token usage of all levels."""

    generation: Generation
    usage: TokenUsage
    levels: int


def merge_groups(task: MergeTask, *, max_prompt_tokens: int) -> list[MergeTask]:
    """Split `task` into merges of consecutive notes, each with a prompt of at most `max_prompt_tokens`.

    A single group yields the answer; the results of several groups are the notes of the next level. Every group but the
    last holds at least two notes, so each level is smaller than the one before. Notes that are too long for that are
    cut and marked.

    Raises InvalidRequest if the question alone leaves no room.
    """
    room = max_prompt_tokens - _tokens(task, ())
    framing = max(_framing_tokens(task, note) for note in task.notes)
    most_bytes = room // 2 - framing
    if most_bytes < len(CUT_MARK):
        raise InvalidRequest(
            f"The prompts leave no room for the notes to merge: {max_prompt_tokens} tokens of the context are left "
            "besides max_tokens. Shorten prompt or aggregation_prompt, or lower max_tokens.",
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
    """Tokens that a further note adds besides those of its text."""
    empty = replace(note, text="")
    return _tokens(task, (empty, empty)) - _tokens(task, (empty,))


def _cut(text: str, most_bytes: int) -> str:
    composed = unicodedata.normalize("NFC", text)  # text_token_bound counts composed text
    encoded = composed.encode()
    if len(encoded) <= most_bytes:
        return composed
    return encoded[: most_bytes - len(CUT_MARK)].decode(errors="ignore") + CUT_MARK
