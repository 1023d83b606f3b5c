"""Every prompt that Longtake writes itself."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from pipeline.analysis import AnalysisJob
from pipeline.errors import InvalidRequest
from pipeline.types import Chunk, ChunkPlan, Exchange, Note, Prompt, TokenSampling

CONTROL_TOKEN = re.compile(r"<\|[a-z0-9_]+\|>")
"""Qwen's control tokens. In a user's text they would end a turn or claim a place for a video that is not there."""

TEMPLATE_TOKENS = 64
"""Upper bound for what the chat template puts around one system and one user turn."""

PART_TOKENS = 160
"""Upper bound for what `chunk_prompt` adds to the prompt."""

OVERLAP_RULE = "Neighbouring parts overlap: say what two of them both show once."
_MERGE_RULES = f"{OVERLAP_RULE} Add nothing that no note says."
DEFAULT_MERGE_INSTRUCTION = (
    f"Merge the notes into one answer to the question. Keep the order of time and the times as written. {_MERGE_RULES}"
)

CITING_MERGE_INSTRUCTION = (
    "Merge the notes into one answer to the question. Keep the order of time. Right before what happens write when, as "
    f"[MM:SS], or [H:MM:SS] from an hour on: a time that a note gives, and no other. {_MERGE_RULES}"
)
"""For models that do as they are told. The embedded one was taught by the other, and copies times as they stand."""
_TIMES_RULE = " Give times as [MM:SS] or [H:MM:SS]."


def checked_prompt(text: str, param: str) -> str:
    """`text`, unless it is empty, no Unicode or holds a control token: then InvalidRequest."""
    if not text.strip():
        raise InvalidRequest(f"{param} is empty; ask something about the video.", param=param)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidRequest(f"{param} holds half of a character, a lone surrogate; leave it out.", param=param)
    found = CONTROL_TOKEN.search(text)
    if found:
        raise InvalidRequest(f"{param} holds the control token {found.group()}; leave it out.", param=param)
    return text


def follow_up(question: str, earlier: Sequence[Exchange]) -> str:
    """The question of a conversation, behind what was said before; without that the question as it is.

    As one text and not as turns of their own: an answer of before is about the whole video, and each chunk is asked
    about a part of it. The video still comes first, so that its tokens are found in the prefix cache.
    """
    if not earlier:
        return question
    said = "\n".join(_said(exchange) for exchange in earlier)
    return f"Earlier in this conversation about the video:\n{said}\n\nThe question now: {question}"


def _said(exchange: Exchange) -> str:
    answer = _harmless(exchange.answer.strip()).replace("</answer>", " ")
    return f"<question>\n{exchange.question.strip()}\n</question>\n<answer>\n{answer}\n</answer>"


def chunk_question(job: AnalysisJob, plan: ChunkPlan, chunk: Chunk) -> tuple[Prompt, TokenSampling]:
    """What the engine is asked about a chunk, and how its answer is written. The store knows the answer by both."""
    num_chunks = len(plan.chunks)
    prompt = chunk_prompt(job.prompt, chunk, num_chunks=num_chunks, asks_for_times=job.asks_for_times)
    return prompt, job.sampling_of_chunks(num_chunks)


def chunk_prompt(prompt: Prompt, chunk: Chunk, *, num_chunks: int, asks_for_times: bool = False) -> Prompt:
    """The user's prompt, and which part of the video the model is looking at where it does not see all of it; then
    also, where that is asked, how to write times.
    """
    if num_chunks == 1:
        return prompt
    part = (
        f"This is part {chunk.index + 1} of {num_chunks} of a video, from {clock(chunk.start_seconds)} to "
        f"{clock(chunk.stop_seconds)}. The times shown are those of the whole video."
        f"{_TIMES_RULE if asks_for_times else ''}"
    )
    return Prompt(f"{part}\n{prompt.text}", prompt.system)


def merge_prompt(question: Prompt, instruction: str, notes: Sequence[Note]) -> Prompt:
    """One answer out of several notes. Notes are what a model said about frames: quoted data, never instructions."""
    quoted = "\n\n".join(_quoted(note) for note in notes)
    text = f"Notes on consecutive parts of one video:\n\n{quoted}\n\nQuestion: {question.text}\n{instruction}"
    return Prompt(text, question.system)


def _quoted(note: Note) -> str:
    part = f"{clock(note.start_seconds)} - {clock(note.stop_seconds)}"
    return f'<note part="{part}">\n{_harmless(note.text.strip())}\n</note>'


def _harmless(text: str) -> str:
    """`text` with nothing in it that could pass for a control token or for the end of a note.

    A blank takes their place: without it what stood on either side could join to another one.
    """
    return CONTROL_TOKEN.sub(" ", text).replace("</note>", " ")


def text_token_bound(prompt: Prompt) -> int:
    """No fewer tokens than `prompt` has: a byte-level BPE makes at most one token of each byte."""
    return _num_bytes(prompt.text) + _num_bytes(prompt.system or "") + TEMPLATE_TOKENS


def _num_bytes(text: str) -> int:
    """Qwen's tokenizer composes text before it takes the bytes, which makes a few characters longer."""
    return max(len(text.encode()), len(unicodedata.normalize("NFC", text).encode()))


def clock(seconds: float) -> str:
    """`MM:SS`, or `H:MM:SS` from an hour on."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"
