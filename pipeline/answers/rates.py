"""What an analysis costs, and how long that took here before: a forecast by measured rates.

Rates are means in which what was measured lately counts most. Nothing is assumed: what was not measured is not told.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.analysis import ExpectedSeconds, Workload
from pipeline.answers.prompting import PART_TOKENS, text_token_bound
from pipeline.planning.visual_tokens import TEMPORAL_PATCH, chunk_token_bound, frame_pair_tokens
from pipeline.types import Chunk, ChunkAnswer, ChunkPlan, Prompt, VideoInfo

MEMORY = 32
"""Measurements that count: each further one takes this part of the weight of all before it."""
NOTHING_MEASURED = "No chunk was answered here since this server started, so that nothing is measured yet."


def chunk_prompt_tokens(chunk: Chunk, prompt: Prompt) -> int:
    """No fewer tokens than the engine reads of that chunk, counted as the plan does."""
    frames = chunk_token_bound(chunk.num_frames, chunk.height_px, chunk.width_px)
    return frames + text_token_bound(prompt) + PART_TOKENS


def workload(plan: ChunkPlan, prompt: Prompt, *, is_merged: bool) -> Workload:
    """What all chunks of `plan` together ask for."""
    return Workload(
        num_chunks=len(plan.chunks),
        source_megapixels=sum(_source_megapixels(plan.video, chunk) for chunk in plan.chunks),
        visual_tokens=sum(_visual_tokens(chunk) for chunk in plan.chunks),
        prompt_tokens=sum(chunk_prompt_tokens(chunk, prompt) for chunk in plan.chunks),
        frame_bytes=sum(chunk.frame_bytes for chunk in plan.chunks),
        is_merged=is_merged,
    )


class MeasuredRates:
    """Learns from what was answered; forecasts what is asked."""

    def __init__(self) -> None:
        self._decoding = _Rate()  # seconds per megapixel of the source
        self._inference = _Rate()  # seconds per prompt token, the writing of an answer included
        self._merging = _Rate()  # seconds per chunk answer
        self._overlap = _Rate()  # seconds that pass per second in which a chunk is decoded or inferred

    def learn_chunk(self, video: VideoInfo, chunk: Chunk, prompt: Prompt, answer: ChunkAnswer) -> None:
        """Of a chunk that was answered. Frames and tokens that were still there from a question before cost nothing,
        and tell nothing.
        """
        if answer.text is None:
            return
        decode, generation = answer.text.decode, answer.text.generation
        if not decode.is_reused:
            self._decoding.add(decode.decode_seconds, _source_megapixels(video, chunk))
        if generation.usage.cached_tokens * 2 < generation.usage.prompt_tokens:
            self._inference.add(generation.inference_seconds, chunk_prompt_tokens(chunk, prompt))

    def learn_overlap(self, answers: Sequence[ChunkAnswer], seconds: float) -> None:
        """Of all chunks of an analysis, which took `seconds` from the first's start to the last's end."""
        texts = [answer.text for answer in answers if answer.text]
        busy = sum(text.decode.decode_seconds + text.generation.inference_seconds for text in texts)
        if len(answers) > 1 and len(texts) == len(answers) and not any(text.decode.is_reused for text in texts):
            self._overlap.add(seconds, busy)

    def learn_merge(self, num_notes: int, seconds: float) -> None:
        self._merging.add(seconds, num_notes)

    def expected(self, work: Workload) -> ExpectedSeconds:
        """For `work`, as if nothing were kept of questions before."""
        decoding = self._decoding.seconds(work.source_megapixels)
        inference = self._inference.seconds(work.prompt_tokens)
        merging = self._merging.seconds(work.num_chunks) if work.is_merged else 0.0
        if decoding is None or inference is None:
            return ExpectedSeconds(None, decoding, inference, merging, NOTHING_MEASURED)
        overlap = self._overlap.seconds(1.0) if work.num_chunks > 1 else 1.0
        # Chunks cannot overlap more than there are.
        share = 1.0 if overlap is None else max(overlap, 1 / work.num_chunks)
        return ExpectedSeconds(
            whole=share * (decoding + inference) + (merging or 0.0),
            decoding=decoding,
            inference=inference,
            merging=merging,
            basis=self._basis(overlap, merging),
        )

    def _basis(self, overlap: float | None, merging: float | None) -> str:
        basis = f"Measured here, over the last {min(self._inference.num_measured, MEMORY)} chunks or so."
        if overlap is None:
            basis += " How far chunks overlap is not measured yet: they are counted one after the other."
        if merging is None:
            basis += " No merge is measured yet: none is counted."
        return basis


class _Rate:
    """Seconds per unit of work."""

    def __init__(self) -> None:
        self.num_measured = 0
        self._seconds, self._units = 0.0, 0.0

    def add(self, seconds: float, units: float) -> None:
        self.num_measured += 1
        kept = 1 - 1 / MEMORY
        self._seconds = self._seconds * kept + seconds
        self._units = self._units * kept + units

    def seconds(self, units: float) -> float | None:
        """For so much work; None where nothing was measured."""
        return self._seconds / self._units * units if self._units else None


def _source_megapixels(video: VideoInfo, chunk: Chunk) -> float:
    return video.width * video.height * video.fps * (chunk.stop_seconds - chunk.start_seconds) / 1e6


def _visual_tokens(chunk: Chunk) -> int:
    pairs = -(-chunk.num_frames // TEMPORAL_PATCH)
    return pairs * frame_pair_tokens(chunk.height_px, chunk.width_px)
