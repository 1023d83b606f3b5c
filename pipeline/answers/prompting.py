"""Write the prompts of chunks, merges and conversations."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from pipeline.analysis import AnalysisJob
from pipeline.errors import InvalidRequest
from pipeline.types import Chunk, ChunkPlan, Exchange, Note, Prompt, TokenSampling

CONTROL_TOKEN = re.compile(r"<\|[a-z0-9_]+\|>")
"""Qwen's control tokens. In a user's text they would end a turn, or add a placeholder without a video."""

TEMPLATE_TOKENS = 64
"""Upper bound for the tokens that the chat template adds to one system and one user turn."""

PART_TOKENS = 160
"""Upper bound for the tokens that `chunk_prompt` adds to the prompt."""

OVERLAP_RULE = "Neighbouring parts overlap: say what two of them both show once."
_MERGE_RULES = f"{OVERLAP_RULE} Add nothing that no note says."
DEFAULT_MERGE_INSTRUCTION = (
    f"Merge the notes into one answer to the question. Keep the order of time and the times as written. {_MERGE_RULES}"
)

CITING_MERGE_INSTRUCTION = (
    "Merge the notes into one answer to the question. Keep the order of time. Right before what happens write when, as "
    f"[MM:SS], or [H:MM:SS] from an hour on: a time that a note gives, and no other. {_MERGE_RULES}"
)
"""For models that follow instructions. The embedded model was trained with the default, and copies times unchanged."""
_TIMES_RULE = " Give times as [MM:SS] or [H:MM:SS]."


def checked_prompt(text: str, param: str) -> str:
    """Return `text`. Raises InvalidRequest if it is empty, is not valid Unicode or contains a control token."""
    if not text.strip():
        raise InvalidRequest(f"{param} is empty; ask something about the video.", param=param)
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidRequest(f"{param} contains half of a character, a lone surrogate; leave it out.", param=param)
    found = CONTROL_TOKEN.search(text)
    if found:
        raise InvalidRequest(f"{param} contains the control token {found.group()}; leave it out.", param=param)
    return text


def follow_up(question: str, earlier: Sequence[Exchange]) -> str:
    """Put the earlier exchanges of a conversation before its question. Without any, return the question unchanged.

    They form one text instead of chat turns, because an earlier answer is about the whole video, and each chunk shows
    only a part of it. The video still comes first, so its tokens hit the prefix cache.
    """
    if not earlier:
        return question
    quoted = "\n".join(_quoted_exchange(exchange) for exchange in earlier)
    return f"Earlier in this conversation about the video:\n{quoted}\n\nThe question now: {question}"


def _quoted_exchange(exchange: Exchange) -> str:
    answer = _sanitized(exchange.answer.strip()).replace("</answer>", " ")
    return f"<question>\n{exchange.question.strip()}\n</question>\n<answer>\n{answer}\n</answer>"


def chunk_question(job: AnalysisJob, plan: ChunkPlan, chunk: Chunk) -> tuple[Prompt, TokenSampling]:
    """The prompt for a chunk, and the token sampling of its answer. Both are part of the answer's key in the store."""
    num_chunks = len(plan.chunks)
    prompt = chunk_prompt(job.prompt, chunk, num_chunks=num_chunks, asks_for_times=job.asks_for_times)
    return prompt, job.sampling_of_chunks(num_chunks)


def chunk_prompt(prompt: Prompt, chunk: Chunk, *, num_chunks: int, asks_for_times: bool = False) -> Prompt:
    """Prefix the user's prompt with the part of the video that the chunk shows, and with `asks_for_times` also with how
    to write times. If the chunk is the whole video, return the prompt unchanged.
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
    """The prompt that merges notes into one answer. Notes are a model's own text: quoted data, never instructions."""
    quoted = "\n\n".join(_quoted_note(note) for note in notes)
    text = f"Notes on consecutive parts of one video:\n\n{quoted}\n\nQuestion: {question.text}\n{instruction}"
    return Prompt(text, question.system)


def _quoted_note(note: Note) -> str:
    part = f"{clock(note.start_seconds)} - {clock(note.stop_seconds)}"
    return f'<note part="{part}">\n{_sanitized(note.text.strip())}\n</note>'


def _sanitized(text: str) -> str:
    """Replace control tokens and closing tags of notes by blanks.

    If they were deleted instead, the text on both sides could join into another one.
    """
    return CONTROL_TOKEN.sub(" ", text).replace("</note>", " ")


def text_token_bound(prompt: Prompt) -> int:
    """Upper bound for the tokens of `prompt`: a byte-level BPE produces at most one token per byte."""
    return _num_bytes(prompt.text) + _num_bytes(prompt.system or "") + TEMPLATE_TOKENS


def _num_bytes(text: str) -> int:
    """Bytes of `text` before or after composition (NFC), whichever are more: Qwen's tokenizer composes it first."""
    return max(len(text.encode()), len(unicodedata.normalize("NFC", text).encode()))


def clock(seconds: float) -> str:
    """`MM:SS`, or `H:MM:SS` from an hour on."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"
