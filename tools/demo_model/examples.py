"""Training examples: token ids in the engine's own layout, with pixels, positions and the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jinja2 import Environment
from numpy.typing import NDArray
from tokenizers import Tokenizer

from pipeline.answers.prompting import DEFAULT_MERGE_INSTRUCTION, chunk_prompt, merge_prompt
from pipeline.decoding.patches import patchify
from pipeline.planning.frame_sampling import frames_for_fps, sample_indices, sample_indices_in_time
from pipeline.planning.visual_tokens import DEFAULT_MIN_FRAMES, SPATIAL_MERGE, TEMPORAL_PATCH, frame_pair_tokens
from pipeline.types import Chunk, Note, Prompt
from tools.demo_model.checkpoint import CHAT_TEMPLATE, IM_END, VIDEO_PAD, VISION_END, VISION_START, known_words
from tools.demo_model.footage import Footage, Reel, splice
from tools.demo_model.hints import Hint, Hints, as_hints
from tools.demo_model.language import (
    INSTRUCTION_WITHOUT_OVERLAP_RULE,
    LIST_PROMPT,
    merged,
    random_prompt,
    repeats,
    told,
)
from tools.demo_model.notes import CHUNK_FPS, random_notes, random_start_seconds
from tools.demo_model.scenes import COLOURS, LONGEST_SCENE_SECONDS, SHAPES, SHORTEST_SCENE_SECONDS

IGNORED = -100
"""The label of a token that is not to be learned."""

SOURCE_FPS = (8.0, 10.0, 12.0, 15.0, 23.976, 24.0, 25.0, 29.97, 30.0, 50.0, 60.0)
LONGEST_CHUNK_PAIRS = 62
SAME_MOMENT_STEPS = 1.5
"""Times of one scene in two notes may be this many pairs of frames apart: a little more than one, since the frames of
a chunk reach from its first to its last."""


@dataclass(frozen=True, eq=False)
class Example:
    """One prompt with its answer."""

    token_ids: list[int]
    answer_start: int
    """Place of the answer's first token."""
    hints: list[Hint]
    frames: NDArray[np.uint8] | None = None


@dataclass(frozen=True, eq=False)
class Batch:
    """Examples padded to one length. All videos in it have one size."""

    input_ids: torch.Tensor
    """(B, L)"""
    position_ids: torch.Tensor
    """(3, B, L): time, row and column, as Qwen3-VL counts them."""
    labels: torch.Tensor
    """(B, L): at each place the token that stands there, or IGNORED."""
    pixels: torch.Tensor | None
    """(patches, 1536) uint8."""
    grid_thw: torch.Tensor | None
    """(videos, 3): pairs, patch rows and patch columns."""
    hints: Hints


class ExampleMaker:
    """Writes examples. Holds the tokenizer and, in memory, the reels."""

    def __init__(self, tokenizer: Tokenizer, reels: Sequence[Reel]) -> None:
        self._tokenizer = tokenizer
        self._template = Environment(trim_blocks=True, lstrip_blocks=True).from_string(CHAT_TEMPLATE)
        self._words = [*known_words(), *COLOURS, *SHAPES]
        self._vision_end = tokenizer.token_to_id(VISION_END)
        self._event_words = [
            {tokenizer.encode(text).ids[0] for text in texts}
            for texts in ([f".{tenth}" for tenth in range(10)], [f" {c}" for c in COLOURS], [f" {s}" for s in SHAPES])
        ]
        self._by_size: dict[tuple[int, int], list[Reel]] = {}
        for reel in reels:
            self._by_size.setdefault(reel.size_px, []).append(reel)
        self._sizes = sorted(self._by_size)
        self._size_shares = np.array([len(self._by_size[size]) for size in self._sizes]) / len(reels)

    def chunk_batch(self, rng: np.random.Generator, pairs_range: tuple[int, int], *, tokens: int) -> Batch:
        """Examples of one frame size, of nearly one length out of `pairs_range`, about `tokens` tokens in all."""
        height, width = self._sizes[int(rng.choice(len(self._sizes), p=self._size_shares))]
        pair_tokens = frame_pair_tokens(height, width) + 6
        fewest, most = pairs_range
        pairs = int(rng.integers(fewest, most + 1))
        count = max(1, min(48, tokens // (pairs * pair_tokens + 60)))
        return self._batch([self._chunk_example(rng, (height, width), pairs) for _ in range(count)])

    def merge_batch(self, rng: np.random.Generator, *, most_seconds: float, tokens: int) -> Batch:
        examples: list[Example] = []
        seconds = float(rng.uniform(20, most_seconds))
        while sum(len(example.token_ids) for example in examples) < tokens:
            examples.append(self._merge_example(rng, seconds))
        return self._batch(examples)

    def _chunk_example(self, rng: np.random.Generator, size_px: tuple[int, int], most_pairs: int) -> Example:
        reels = self._by_size[size_px]
        reel = reels[int(rng.integers(len(reels)))]
        fps = CHUNK_FPS[int(rng.integers(len(CHUNK_FPS)))]
        pts = _random_pts(rng, fps, most_pairs)
        shortest = max(SHORTEST_SCENE_SECONDS, 3 * TEMPORAL_PATCH / fps)
        longest = max(LONGEST_SCENE_SECONDS, shortest)
        if rng.random() < 0.5:
            longest = (shortest + longest) / 2
        footage = splice(rng, reel, pts, scene_seconds=(shortest, longest))
        prompt = random_prompt(rng, self._words)
        if rng.random() < 0.75:
            num_chunks = int(rng.integers(2, 40))
            chunk = Chunk(
                int(rng.integers(num_chunks)), float(pts[0]), float(pts[-1]), np.zeros(1, np.int64), pts, 0.0, 1, 1
            )
            prompt = chunk_prompt(prompt, chunk, num_chunks=num_chunks)
        return self.chunk_example(footage, prompt)

    def chunk_example(self, footage: Footage, prompt: Prompt) -> Example:
        """`footage` as the engine shows it to the model, and its events."""
        _, height, width, _ = footage.frames.shape
        pads = VIDEO_PAD * frame_pair_tokens(height, width)
        pairs = "".join(f"<{seconds:.1f} seconds>{VISION_START}{pads}{VISION_END}" for seconds in footage.pair_seconds)
        content = [{"type": "video"}, {"type": "text", "text": prompt.text}]
        text = self._render(content).replace(VIDEO_PAD, pairs)
        prompt_ids = self._tokenizer.encode(text).ids
        # Each pair ends with one; the video ends with one more.
        places = [place for place, token_id in enumerate(prompt_ids) if token_id == self._vision_end][:-1]
        hints = _pair_hints(footage, places)
        return self._example(prompt_ids, told(footage.events), hints, footage.frames)

    def _merge_example(self, rng: np.random.Generator, seconds: float) -> Example:
        notes, step_seconds = random_notes(rng, seconds)
        rule = rng.random() < 0.88
        said = [note.events for note in notes]
        events = [event for note in said for event in note]
        same_moment_seconds = SAME_MOMENT_STEPS * step_seconds
        prompt = merge_prompt(
            random_prompt(rng, self._words) if rng.random() < 0.5 else Prompt(LIST_PROMPT),
            DEFAULT_MERGE_INSTRUCTION if rule else INSTRUCTION_WITHOUT_OVERLAP_RULE,
            [Note(note.start_seconds, note.stop_seconds, told(note.events)) for note in notes],
        )
        prompt_ids = self._tokenizer.encode(self._render([{"type": "text", "text": prompt.text}])).ids
        # Whatever the rule: it stands behind the notes, where what is read off them cannot depend on it.
        are_told = repeats(said, same_moment_seconds=same_moment_seconds)
        hints = [
            Hint(place, event.colour, event.shape, None if is_told else int(event.seconds))
            for place, event, is_told in zip(self._ends_of_events(prompt_ids), events, are_told, strict=True)
        ]
        answer = merged(said, same_moment_seconds=same_moment_seconds) if rule else events
        return self._example(prompt_ids, told(answer), hints, None)

    def _ends_of_events(self, token_ids: list[int]) -> list[int]:
        """The place of the token after each event: what says its time, colour and shape stands before it."""
        tenths, colours, shapes = self._event_words
        return [
            place
            for place in range(3, len(token_ids))
            if token_ids[place - 3] in tenths and token_ids[place - 2] in colours and token_ids[place - 1] in shapes
        ]

    def _render(self, content: list[dict[str, str]]) -> str:
        return self._template.render(messages=[{"role": "user", "content": content}], add_generation_prompt=True)

    def _example(
        self, prompt_ids: list[int], answer: str, hints: list[Hint], frames: NDArray[np.uint8] | None
    ) -> Example:
        answer_ids = self._tokenizer.encode(answer + IM_END).ids
        return Example(prompt_ids + answer_ids, len(prompt_ids), hints, frames)

    def _batch(self, examples: Sequence[Example]) -> Batch:
        length = max(len(example.token_ids) for example in examples)
        input_ids = torch.zeros(len(examples), length, dtype=torch.long)
        labels = torch.full((len(examples), length), IGNORED)
        position_ids = torch.zeros(3, len(examples), length, dtype=torch.long)
        pixels: list[NDArray[np.uint8]] = []
        grids: list[tuple[int, int, int]] = []
        for row, example in enumerate(examples):
            ids = torch.tensor(example.token_ids)
            input_ids[row, : len(ids)] = ids
            labels[row, example.answer_start : len(ids)] = ids[example.answer_start :]
            grid = None
            if example.frames is not None:
                patches, grid = patchify(example.frames)
                pixels.append(patches)
                grids.append(grid)
            position_ids[:, row, : len(ids)] = torch.from_numpy(self._positions(example.token_ids, grid))
        return Batch(
            input_ids,
            position_ids,
            labels,
            torch.from_numpy(np.concatenate(pixels)) if pixels else None,
            torch.tensor(grids) if grids else None,
            as_hints([example.hints for example in examples], self._tokenizer),
        )

    def _positions(self, token_ids: list[int], grid: tuple[int, int, int] | None) -> NDArray[np.int64]:
        """(3, L). A pair of frames spreads over rows and columns; text goes on after the larger of the two."""
        ids = np.array(token_ids)
        if grid is None:
            return np.tile(np.arange(len(ids)), (3, 1))
        rows, columns = grid[1] // SPATIAL_MERGE, grid[2] // SPATIAL_MERGE
        is_pad = ids == self._tokenizer.token_to_id(VIDEO_PAD)
        # A pair takes max(rows, columns) positions, at its last token; every other token takes one.
        takes = np.where(is_pad, 0, 1)
        pad_places = np.flatnonzero(is_pad).reshape(grid[0], rows * columns)
        takes[pad_places[:, -1]] = max(rows, columns)
        base = np.concatenate([[0], np.cumsum(takes)[:-1]])
        positions = np.tile(base, (3, 1))
        positions[1, pad_places] += np.repeat(np.arange(rows), columns)
        positions[2, pad_places] += np.tile(np.arange(columns), rows)
        return positions


def _pair_hints(footage: Footage, places: list[int]) -> list[Hint]:
    """One per pair of frames, at its last token."""
    starts = {event.seconds: event for event in footage.events}
    shown = footage.events[0]
    hints: list[Hint] = []
    for seconds, place in zip(footage.pair_seconds, places, strict=True):
        shown = starts.get(seconds, shown)
        hints.append(Hint(place, *shown.content, int(seconds) if seconds in starts else None))
    return hints


def _random_pts(rng: np.random.Generator, fps: float, most_pairs: int) -> NDArray[np.float64]:
    """Times of the frames of a chunk, as the Chunker picks them out of a video's frames."""
    source_fps = max(fps, SOURCE_FPS[int(rng.integers(len(SOURCE_FPS)))])
    seconds = max(2.0, float(rng.uniform(0.75, 1.0)) * most_pairs * TEMPORAL_PATCH / fps)
    if rng.random() < 0.5:
        seconds = max(2.0, float(round(seconds)))
    start = random_start_seconds(rng)
    first = int(np.ceil(start * source_fps))
    count = max(TEMPORAL_PATCH, int(seconds * source_fps))
    pts = (first + np.arange(count)) / source_fps
    wanted = frames_for_fps(count, seconds, fps, LONGEST_CHUNK_PAIRS * TEMPORAL_PATCH, DEFAULT_MIN_FRAMES)
    if rng.random() < 0.12:
        pts = np.sort(pts + rng.uniform(0, 0.9 / source_fps, count))
        indices = sample_indices_in_time(pts, 0, count - 1, wanted)
    else:
        indices = sample_indices(0, count - 1, wanted)
    return pts[indices[: len(indices) // TEMPORAL_PATCH * TEMPORAL_PATCH]]
