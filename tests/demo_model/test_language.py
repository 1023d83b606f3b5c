"""What the demo model says, and what becomes of what it said about parts that overlap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.answers.prompting import DEFAULT_MERGE_INSTRUCTION, OVERLAP_RULE, checked_prompt
from pipeline.planning.chunking import plan_chunks
from pipeline.types import ChunkingRequest, ChunkPlan, FrameSampling, TokenBudget, VideoInfo
from tools.demo_model.checkpoint import known_words
from tools.demo_model.footage import stamps
from tools.demo_model.language import (
    INSTRUCTION_WITHOUT_OVERLAP_RULE,
    LIST_PROMPT,
    PROMPTS,
    Event,
    heard,
    merged,
    random_prompt,
    told,
)
from tools.demo_model.scenes import COLOURS, SHAPES, Film, Split, random_film

STEP = 1.0  # seconds between two pairs, at two frames per second

events = st.builds(
    Event,
    st.integers(0, 10**6).map(lambda tenths: tenths / 10),
    st.sampled_from(tuple(COLOURS)),
    st.sampled_from(SHAPES),
)


def at(seconds: float, content: str = "red circle") -> Event:
    colour, shape = content.split()
    return Event(seconds, colour, shape)


def merge(*notes: list[Event]) -> list[Event]:
    return merged(notes, same_moment_seconds=STEP)


# --- Saying and hearing -----------------------------------------------------------------------------------------------


def test_an_answer_is_a_list_of_sentences() -> None:
    assert told([at(0.2), at(65, "blue star")]) == "0.2 red circle. 65.0 blue star."
    assert told([]) == ""


@given(st.lists(events))
def test_what_was_told_is_heard(said: list[Event]) -> None:
    assert heard(told(said)) == said


def test_whatever_else_is_said_is_passed_over() -> None:
    text = (
        "<think>\n\n</think>Well: 3 red circle. Then a blue star, 4.2 purple star. 5.0 red cube. 6.1 red. "
        "7.25 white ring.\n8.0  red ring. 9.5 cyan cross, 10.5 cyan cross."
    )
    assert heard(text) == [at(3.0), at(7.25, "white ring"), at(10.5, "cyan cross")]
    assert heard("") == []


# --- Merging ----------------------------------------------------------------------------------------------------------


def test_a_scene_across_a_border_is_listed_once() -> None:
    before = [at(0.2), at(50.2, "blue star")]
    after = [at(58.2, "blue star"), at(70.2, "cyan ring")]
    assert merge(before, after) == [*before, after[1]]


def test_a_scene_across_several_borders_is_listed_once() -> None:
    assert merge([at(0.2)], [at(18.2)], [at(36.2)], [at(54.2), at(60.2, "blue star")]) == [
        at(0.2),
        at(60.2, "blue star"),
    ]


@pytest.mark.parametrize("step", [-1.0, -0.5, 0.0, 0.5, 1.0])
def test_a_scene_that_begins_in_the_overlap_is_listed_once(step: float) -> None:
    """The two parts have their pairs of frames at different moments: the times may differ by a step."""
    before = [at(0.2), at(59.2, "blue star")]
    after = [at(58.2), at(59.2 + step, "blue star"), at(64.2, "cyan ring")]
    assert merge(before, after) == [at(0.2), at(59.2, "blue star"), at(64.2, "cyan ring")]


def test_a_scene_that_only_the_later_part_shows_is_kept() -> None:
    """It begins after the last pair of the part before, so that it opens the later one where nothing overlaps."""
    before, after = [at(0.2)], [at(60.2, "blue star")]
    assert merge(before, after) == [*before, *after]


def test_the_same_content_later_is_another_scene() -> None:
    before = [at(0.2), at(8.2, "blue star"), at(14.2, "red circle"), at(20.2, "blue star")]
    after = [at(28.2, "blue star"), at(35.2), at(41.2, "blue star")]
    assert merge(before, after) == [*before, *after[1:]]


def test_the_same_content_at_the_opening_is_another_scene_where_another_one_was_on_the_screen() -> None:
    before = [at(0.2), at(56.2, "blue star")]
    assert merge(before, [at(60.2)]) == [*before, at(60.2)]


def test_a_scene_is_told_apart_by_colour_and_by_shape() -> None:
    before = [at(0.2, "red circle")]
    for content in ("red ring", "blue circle"):
        assert merge(before, [at(0.2, content)]) == [*before, at(0.2, content)]


def test_a_part_that_says_nothing_loses_nothing_of_its_neighbours() -> None:
    assert merge([], [at(0.2)], [], [at(60.2), at(64.2, "blue star")]) == [at(0.2), at(60.2), at(64.2, "blue star")]
    assert merge() == []


@given(st.lists(events))
def test_without_neighbours_nothing_is_dropped(note: list[Event]) -> None:
    assert merge(note) == note


@given(st.lists(st.lists(events, max_size=6), max_size=4))
def test_the_order_of_the_notes_is_kept_and_nothing_is_added(notes: list[list[Event]]) -> None:
    rest = iter(event for note in notes for event in note)
    assert all(any(event is other for other in rest) for event in merge(*notes))


# --- Merging what a plan's chunks show --------------------------------------------------------------------------------

SOURCE_FPS = 25.0


def plan(film: Film, fps: float, chunk_seconds: float, overlap_seconds: float) -> ChunkPlan:
    num_frames = round(film.duration_seconds * SOURCE_FPS)
    duration = num_frames / SOURCE_FPS
    video = VideoInfo(320, 180, SOURCE_FPS, duration, num_frames, "h264", "mp4", 1, "bytes", False, 0.0)
    sampling = FrameSampling(fps, None, 768, min_pixels=4096, max_pixels=12288, total_pixels=10**8, min_frames=4)
    return plan_chunks(
        video,
        np.arange(num_frames) / SOURCE_FPS,
        ChunkingRequest(chunk_seconds, overlap_seconds, 0.0, None, sampling),
        TokenBudget(10**7, 1000),
        max_chunks=5000,
    )


def exact_notes(film: Film, planned: ChunkPlan) -> list[list[Event]]:
    """What there is to say about each chunk, from the times of its frames alone."""
    notes = []
    for chunk in planned.chunks:
        times = chunk.pts_seconds[: len(chunk.pts_seconds) // 2 * 2]
        pair_seconds = stamps(times)
        shown = [film.scene_at(seconds) for seconds in times.tolist()]
        notes.append(
            [
                Event(pair_seconds[i // 2], scene.colour, scene.shape)
                for i, scene in enumerate(shown)
                if i == 0 or scene is not shown[i - 1]
            ]
        )
    return notes


@given(
    st.integers(0, 10**6),
    st.floats(10, 200),
    st.sampled_from([1.0, 2.0, 4.0]),
    st.sampled_from([8.0, 10.0, 15.0, 20.0, 30.0, 60.0]),
    st.sampled_from([0.0, 1.0, 2.0, 3.0, 4.0]),
)
def test_the_notes_of_all_chunks_make_the_film(
    seed: int, seconds: float, fps: float, chunk_seconds: float, overlap_seconds: float
) -> None:
    """At a tolerance of one and a half steps.

    A plan's first and last frame stand at the chunk's ends, so that its n frames lie n / (n - 1) further apart than
    the rate says: in short chunks the two times of one scene differ by more than a step.
    """
    film = random_film(Split.TEST, seed, width_px=64, height_px=64, duration_seconds=round(seconds, 2))
    planned = plan(film, fps, chunk_seconds, overlap_seconds)
    listed = merged(exact_notes(film, planned), same_moment_seconds=1.5 * 2 / fps)
    assert [event.content for event in listed] == [(scene.colour, scene.shape) for scene in film.scenes]
    between_frames = max(np.diff(chunk.pts_seconds).max() for chunk in planned.chunks)
    for event, scene in zip(listed, film.scenes, strict=True):
        # The first frame that shows it comes within one, and a pair's time lies half of one from either frame.
        assert -0.5 * between_frames - 0.051 < event.seconds - scene.start_seconds < 1.5 * between_frames + 0.051


# --- Asking -----------------------------------------------------------------------------------------------------------


def test_a_random_prompt_asks_something() -> None:
    rng = np.random.default_rng(0)
    words = [*known_words(), *COLOURS, *SHAPES]
    texts = [random_prompt(rng, words).text for _ in range(1000)]
    assert all(checked_prompt(text, "prompt") == text for text in texts)
    assert set(PROMPTS) < set(texts)
    assert all(2 <= len(text.split()) < 12 for text in set(texts) - set(PROMPTS))


def test_the_demos_prompt_is_among_those_of_training() -> None:
    assert LIST_PROMPT in PROMPTS


def test_one_merge_instruction_of_two_holds_the_overlap_rule() -> None:
    with_rule, without = DEFAULT_MERGE_INSTRUCTION, INSTRUCTION_WITHOUT_OVERLAP_RULE
    assert OVERLAP_RULE in with_rule
    assert without == " ".join(part for part in with_rule.split(f"{OVERLAP_RULE} ") if part).replace("  ", " ")
    assert "overlap" not in without
