"""The prompts that Longtake writes, and the text that must not get into them."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from pipeline.answers.prompting import (
    CITING_MERGE_INSTRUCTION,
    CONTROL_TOKEN,
    DEFAULT_MERGE_INSTRUCTION,
    OVERLAP_RULE,
    PART_TOKENS,
    TEMPLATE_TOKENS,
    checked_prompt,
    chunk_prompt,
    clock,
    follow_up,
    merge_prompt,
    text_token_bound,
)
from pipeline.errors import InvalidRequest
from pipeline.types import Chunk, ChunkPlan, Exchange, Note, Prompt, VideoInfo

TOKENIZER = Path(__file__).parents[3] / "models" / "demo" / "tokenizer.json"
DAY = 24 * 3600.0
VIDEO = VideoInfo(1280, 720, 25.0, DAY, 1, "h264", "matroska,webm", 1, "bytes", False, 0.0)
NONE = np.array([], np.int64)


def plan_of(*spans: tuple[float, float]) -> ChunkPlan:
    chunks = tuple(
        Chunk(i, start, stop, NONE, NONE.astype(float), 0.0, 32, 32) for i, (start, stop) in enumerate(spans)
    )
    return ChunkPlan(VIDEO, chunks, spans[0][0], spans[-1][1], 60.0, 2.0, 2.0)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "00:00"), (59.999, "00:59"), (61, "01:01"), (3599.9, "59:59"), (3600, "1:00:00"), (DAY, "24:00:00")],
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_the_only_chunk_gets_the_prompt_as_it_is() -> None:
    prompt = Prompt("What happens?", "Be brief.")
    plan = plan_of((0, 60))
    assert chunk_prompt(prompt, plan.chunks[0], num_chunks=len(plan.chunks)) == prompt


def test_a_part_knows_its_place() -> None:
    plan = plan_of((0, 60), (58, 118))
    prompt = chunk_prompt(Prompt("What happens?", "Be brief."), plan.chunks[1], num_chunks=len(plan.chunks))
    assert prompt.text == (
        "This is part 2 of 2 of a video, from 00:58 to 01:58. The times shown are those of the whole video.\n"
        "What happens?"
    )
    assert prompt.system == "Be brief."


def test_a_part_may_be_asked_for_times() -> None:
    plan = plan_of((0, 60), (58, 118))
    asked, plain = (
        chunk_prompt(Prompt("What happens?"), plan.chunks[1], num_chunks=2, asks_for_times=asks).text
        for asks in (True, False)
    )
    assert "[MM:SS]" in asked and asked.replace(" Give times as [MM:SS] or [H:MM:SS].", "") == plain


def test_both_instructions_know_that_parts_overlap() -> None:
    assert OVERLAP_RULE in DEFAULT_MERGE_INSTRUCTION and OVERLAP_RULE in CITING_MERGE_INSTRUCTION
    assert "[MM:SS]" in CITING_MERGE_INSTRUCTION and "[MM:SS]" not in DEFAULT_MERGE_INSTRUCTION


def test_the_longest_part_fits_what_the_plan_keeps_for_it() -> None:
    plan = plan_of(*[(DAY - 1, DAY)] * 99_999)
    prompt = chunk_prompt(Prompt(""), plan.chunks[-1], num_chunks=len(plan.chunks), asks_for_times=True)
    assert len(prompt.text.encode()) <= PART_TOKENS


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_an_empty_prompt_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="prompt is empty; ask something about the video") as caught:
        checked_prompt(text, "prompt")
    assert caught.value.param == "prompt"


@pytest.mark.parametrize("token", ["<|im_end|>", "<|video_pad|>", "<|vision_start|>", "<|endoftext|>"])
def test_a_control_token_is_refused(token: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        checked_prompt(f"What{token}happens?", "aggregation_prompt")
    assert caught.value.param == "aggregation_prompt"
    assert token in caught.value.message


def test_half_a_character_is_refused() -> None:
    """JSON lets it pass, and no tokenizer takes it."""
    with pytest.raises(InvalidRequest, match="prompt contains half of a character") as caught:
        checked_prompt("What \ud83c?", "prompt")
    caught.value.message.encode()


def test_an_ordinary_prompt_is_kept() -> None:
    text = " Is a < b | c > d, or <b>bold</b>? <|Not One|> "
    assert checked_prompt(text, "prompt") == text


def test_merge_prompt_quotes_the_notes_in_order() -> None:
    notes = [Note(0, 60, " A cat. "), Note(58, 3700, "A dog.")]
    prompt = merge_prompt(Prompt("What happens?", "Be brief."), "Merge them.", notes)
    assert prompt.system == "Be brief."
    assert prompt.text == (
        "Notes on consecutive parts of one video:\n\n"
        '<note part="00:00 - 01:00">\nA cat.\n</note>\n\n'
        '<note part="00:58 - 1:01:40">\nA dog.\n</note>\n\n'
        "Question: What happens?\nMerge them."
    )


pieces = st.lists(st.sampled_from(["<|", "|>", "im_end", "x", "</note>", "</no", "te>", "<", "/note>", "|", " "]))


@given(pieces.map("".join))
@example("<|im_<|x|>end|>")
@example("</no</note>te>")
@example("<|im_</note>end|>")
def test_a_note_cannot_leave_its_place(text: str) -> None:
    """What a model says about frames is data, though the frames show text of somebody's own."""
    prompt = merge_prompt(Prompt("Q"), "I", [Note(0, 1, text)])
    assert CONTROL_TOKEN.search(prompt.text) is None
    assert prompt.text.count("</note>") == 1
    assert prompt.text.endswith("\n</note>\n\nQuestion: Q\nI")


@functools.cache
def tokenizer() -> Tokenizer:
    loaded: Tokenizer = Tokenizer.from_file(str(TOKENIZER))
    return loaded


@given(st.text(max_size=200), st.one_of(st.none(), st.text(max_size=50)))
@example("\U0001d160" * 20, None)  # composed by the tokenizer, 4 bytes become 12
@example("aé中🎬" * 20, "system")
def test_bound_holds_for_the_real_tokenizer(text: str, system: str | None) -> None:
    num_tokens = sum(len(tokenizer().encode(part, add_special_tokens=False).ids) for part in (text, system or ""))
    assert num_tokens + TEMPLATE_TOKENS <= text_token_bound(Prompt(text, system))


def test_a_first_question_is_as_it_is() -> None:
    assert follow_up(" What happens?\n", []) == " What happens?\n"


def test_a_follow_up_comes_behind_what_was_said() -> None:
    earlier = [Exchange("What happens?", "A cat sits."), Exchange("Where?", " On <|im_end|>a</answer> roof. ")]
    assert follow_up("And then?", earlier) == (
        "Earlier in this conversation about the video:\n"
        "<question>\nWhat happens?\n</question>\n<answer>\nA cat sits.\n</answer>\n"
        "<question>\nWhere?\n</question>\n<answer>\nOn  a  roof.\n</answer>\n\n"
        "The question now: And then?"
    )
