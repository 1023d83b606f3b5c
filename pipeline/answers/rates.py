"""Measure how long work takes on this server, and forecast the duration of an analysis from it.

Rates are weighted means in which the latest measurements count most. Nothing is assumed: a rate that has not been
measured is `None` in the forecast.
"""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.analysis import ExpectedSeconds, Workload
from pipeline.answers.prompting import PART_TOKENS, text_token_bound
from pipeline.planning.visual_tokens import TEMPORAL_PATCH, chunk_token_bound, frame_pair_tokens
from pipeline.types import Chunk, ChunkAnswer, ChunkPlan, Prompt, VideoInfo

WINDOW_CHUNKS = 32
"""Effective number of measurements in a rate. Each further one reduces the weight of all earlier ones by 1/32."""
NOTHING_MEASURED = "This server has not answered a chunk since it started, so nothing is measured yet."


def chunk_prompt_tokens(chunk: Chunk, prompt: Prompt) -> int:
    """Upper bound for the prompt tokens of a chunk, counted as the plan counts them."""
    frames = chunk_token_bound(chunk.num_frames, chunk.height_px, chunk.width_px)
    return frames + text_token_bound(prompt) + PART_TOKENS


def workload(plan: ChunkPlan, prompt: Prompt, *, is_merged: bool) -> Workload:
    """The work of all chunks of `plan` together."""
    return Workload(
        num_chunks=len(plan.chunks),
        source_megapixels=sum(_source_megapixels(plan.video, chunk) for chunk in plan.chunks),
        visual_tokens=sum(_visual_tokens(chunk) for chunk in plan.chunks),
        prompt_tokens=sum(chunk_prompt_tokens(chunk, prompt) for chunk in plan.chunks),
        frame_bytes=sum(chunk.frame_bytes for chunk in plan.chunks),
        is_merged=is_merged,
    )


class MeasuredRates:
    """Records how long finished work took, and forecasts how long further work will take."""

    def __init__(self) -> None:
        self._decoding = _Rate()  # seconds per megapixel of the source
        self._inference = _Rate()  # seconds per prompt token, generation included
        self._merging = _Rate()  # seconds per chunk answer
        self._overlap = _Rate()  # wall-clock seconds per second of decoding or inference

    def record_chunk(self, video: VideoInfo, chunk: Chunk, prompt: Prompt, answer: ChunkAnswer) -> None:
        """Record the times of an answered chunk. Cached frames and tokens are left out: they cost nothing."""
        if answer.text is None:
            return
        decode, generation = answer.text.decode, answer.text.generation
        if not decode.is_reused:
            self._decoding.add(decode.decode_seconds, _source_megapixels(video, chunk))
        if generation.usage.cached_tokens * 2 < generation.usage.prompt_tokens:
            self._inference.add(generation.inference_seconds, chunk_prompt_tokens(chunk, prompt))

    def record_overlap(self, answers: Sequence[ChunkAnswer], seconds: float) -> None:
        """Record that all chunks of an analysis took `seconds`, from the start of the first to the end of the last."""
        texts = [answer.text for answer in answers if answer.text]
        busy = sum(text.decode.decode_seconds + text.generation.inference_seconds for text in texts)
        if len(answers) > 1 and len(texts) == len(answers) and not any(text.decode.is_reused for text in texts):
            self._overlap.add(seconds, busy)

    def record_merge(self, num_notes: int, seconds: float) -> None:
        self._merging.add(seconds, num_notes)

    def expected(self, work: Workload) -> ExpectedSeconds:
        """Forecast the duration of `work` with empty caches."""
        decoding = self._decoding.seconds(work.source_megapixels)
        inference = self._inference.seconds(work.prompt_tokens)
        merging = self._merging.seconds(work.num_chunks) if work.is_merged else 0.0
        if decoding is None or inference is None:
            return ExpectedSeconds(None, decoding, inference, merging, NOTHING_MEASURED)
        overlap = self._overlap.seconds(1.0) if work.num_chunks > 1 else 1.0
        # At most all chunks run at the same time.
        share = 1.0 if overlap is None else max(overlap, 1 / work.num_chunks)
        return ExpectedSeconds(
            whole=share * (decoding + inference) + (merging or 0.0),
            decoding=decoding,
            inference=inference,
            merging=merging,
            basis=self._basis(overlap, merging),
        )

    def _basis(self, overlap: float | None, merging: float | None) -> str:
        basis = f"Measured here, over the last {min(self._inference.num_measured, WINDOW_CHUNKS)} chunks or so."
        if overlap is None:
            basis += " The overlap of chunks is not measured yet: their times are added up."
        if merging is None:
            basis += " No merge is measured yet: its time is left out."
        return basis


class _Rate:
    """Seconds per unit of work."""

    def __init__(self) -> None:
        self.num_measured = 0
        self._seconds, self._units = 0.0, 0.0

    def add(self, seconds: float, units: float) -> None:
        self.num_measured += 1
        kept = 1 - 1 / WINDOW_CHUNKS
        self._seconds = self._seconds * kept + seconds
        self._units = self._units * kept + units

    def seconds(self, units: float) -> float | None:
        """Forecast for `units` of work; `None` if nothing was measured."""
        return self._seconds / self._units * units if self._units else None


def _source_megapixels(video: VideoInfo, chunk: Chunk) -> float:
    return video.width * video.height * video.fps * (chunk.stop_seconds - chunk.start_seconds) / 1e6


def _visual_tokens(chunk: Chunk) -> int:
    pairs = -(-chunk.num_frames // TEMPORAL_PATCH)
    return pairs * frame_pair_tokens(chunk.height_px, chunk.width_px)
