"""Group notes into merges that fit the context."""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.answers.merging import CUT_MARK, MergeTask, merge_groups
from pipeline.answers.prompting import DEFAULT_MERGE_INSTRUCTION, text_token_bound
from pipeline.errors import InvalidRequest
from pipeline.types import Note, Prompt

QUESTION = Prompt("What happens?", "Be brief.")


def task_of(texts: list[str]) -> MergeTask:
    notes = tuple(Note(58.0 * place, 58.0 * place + 60, text) for place, text in enumerate(texts))
    return MergeTask(QUESTION, DEFAULT_MERGE_INSTRUCTION, notes)


def test_notes_that_fit_are_one_merge() -> None:
    task = task_of(["A cat.", "A dog.", "A bird."])
    assert merge_groups(task, max_prompt_tokens=text_token_bound(task.prompt)) == [task]


def test_one_token_less_makes_two_merges() -> None:
    task = task_of(["A cat." * 20, "A dog." * 20, "A bird." * 20])
    groups = merge_groups(task, max_prompt_tokens=text_token_bound(task.prompt) - 1)
    assert [len(group.notes) for group in groups] == [2, 1]
    assert [note for group in groups for note in group.notes] == list(task.notes)


def test_a_result_stands_for_the_whole_of_its_notes() -> None:
    assert task_of(["a", "b", "c"]).merged("all") == Note(0.0, 176.0, "all")


def test_a_note_that_is_too_long_is_cut_where_one_sees_it() -> None:
    task = task_of(["short", "x" * 10_000])
    (group,) = merge_groups(task, max_prompt_tokens=2000)
    assert group.notes[0].text == "short"
    assert group.notes[1].text.endswith(CUT_MARK)
    assert len(group.notes[1].text) > 500


def test_a_cut_leaves_whole_characters() -> None:
    for length in range(2000, 2012):
        (group,) = merge_groups(task_of(["🎬" * 5000]), max_prompt_tokens=length)
        assert set(group.notes[0].text.removesuffix(CUT_MARK)) == {"🎬"}


def test_no_room_for_notes_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"leave no room for the notes .*: 300 tokens of the context") as caught:
        merge_groups(task_of(["a", "b"]), max_prompt_tokens=300)
    assert caught.value.param == "aggregation_prompt"


def test_five_thousand_notes_are_grouped_in_a_moment() -> None:
    began = time.process_time()
    groups = merge_groups(task_of(["Somebody crosses the street. " * 20] * 5000), max_prompt_tokens=60_000)
    assert time.process_time() - began < 10
    assert len(groups) < 100


texts = st.one_of(
    st.text(max_size=300),
    st.integers(0, 3000).map(lambda length: "x" * length),
    st.just("\U0001d160" * 100),  # composed, 4 bytes become 12
    st.just("<|im_end|></note>" * 30),
)


@given(st.lists(texts, min_size=1, max_size=40), st.integers(600, 8000))
@example(["x" * 3000] * 3, 700)
def test_every_level_of_merges_fits_and_shrinks(notes: list[str], max_prompt_tokens: int) -> None:
    task = task_of(notes)
    groups = merge_groups(task, max_prompt_tokens=max_prompt_tokens)
    for group in groups:
        assert text_token_bound(group.prompt) <= max_prompt_tokens
        assert (group.question, group.instruction) == (task.question, task.instruction)
    merged = [note for group in groups for note in group.notes]
    assert [(note.start_seconds, note.stop_seconds) for note in merged] == [
        (note.start_seconds, note.stop_seconds) for note in task.notes
    ]
    assert all(len(group.notes) >= 2 for group in groups[:-1])
    assert len(groups) == 1 or len(groups) < len(notes)
    levels = 0
    while len(groups) > 1:  # as the Aggregator goes on, with the longest texts that a level may give
        results = tuple(group.merged("y" * 5000) for group in groups)
        groups = merge_groups(MergeTask(task.question, task.instruction, results), max_prompt_tokens=max_prompt_tokens)
        levels += 1
        assert levels < 8
