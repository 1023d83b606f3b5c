"""Measure which parts of the requested range the answered chunks cover, and explain deviations from the plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from pipeline.types import Chunk, ChunkAnswer, ChunkPlan, Coverage, DecodeReport, PictureTreatment

Interval = tuple[float, float]
CUT_OFF = "length"
"""The finish_reason of a text that `max_tokens` cut off."""


def measure_coverage(plan: ChunkPlan, answers: Sequence[ChunkAnswer]) -> Coverage:
    """Coverage of the requested range by the chunks that were answered."""
    answered = [answer for answer in answers if answer.text]
    frames = sum(answer.text.decode.num_frames for answer in answered if answer.text)
    seconds = sum(answer.stop_seconds - answer.start_seconds for answer in answered)
    return Coverage(
        requested_fps=plan.requested_fps,
        effective_fps=frames / seconds if seconds else 0.0,
        frames_used=frames,
        uncovered=tuple(
            uncovered(
                (plan.start_seconds, plan.stop_seconds),
                ((answer.start_seconds, answer.stop_seconds) for answer in answered),
            )
        ),
        failed_chunks=tuple(sorted(answer.chunk_index for answer in answers if not answer.text)),
        notices=(*plan.notices, *_degradations(answered)),
    )


def planned_coverage(plan: ChunkPlan) -> Coverage:
    """Coverage of the requested range if every chunk of the plan is answered."""
    frames = sum(chunk.num_frames for chunk in plan.chunks)
    seconds = sum(chunk.stop_seconds - chunk.start_seconds for chunk in plan.chunks)
    spans = ((chunk.start_seconds, chunk.stop_seconds) for chunk in plan.chunks)
    return Coverage(
        requested_fps=plan.requested_fps,
        effective_fps=frames / seconds if seconds else 0.0,
        frames_used=frames,
        uncovered=tuple(uncovered((plan.start_seconds, plan.stop_seconds), spans)),
        failed_chunks=(),
        notices=plan.notices,
    )


def cut_off_notice(finish_reason: str, *, num_chunks: int, max_tokens: int) -> str | None:
    """Notice for a merged answer that `max_tokens` cut off. The coverage already contains that of a single chunk."""
    if num_chunks == 1 or finish_reason != CUT_OFF:
        return None
    return f"The answer was cut off after max_tokens ({max_tokens}); raise it for the rest."


def decoded_frames(chunk: Chunk, report: DecodeReport) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(T,) indices and (T,) times in seconds of the planned frames that were decoded. Times are those in the prompt."""
    is_decoded = ~np.isin(chunk.pts_seconds, report.missing_pts_seconds)
    return chunk.frame_indices[is_decoded], np.maximum(chunk.pts_seconds[is_decoded], chunk.start_seconds)


def uncovered(whole: Interval, covered: Iterable[Interval]) -> list[Interval]:
    """The parts of `whole` that no interval in `covered` reaches, in order."""
    gaps: list[Interval] = []
    reached, stop = whole
    for start, end in sorted(covered):
        if reached < min(start, stop):
            gaps.append((reached, min(start, stop)))
        reached = max(reached, end)
    if reached < stop:
        gaps.append((reached, stop))
    return gaps


def _degradations(answered: Sequence[ChunkAnswer]) -> Iterable[str]:
    """Deviations from the plan, each listed once with all its chunks: a film may have hundreds."""
    chunks_by_text: dict[str, list[int]] = {}
    for answer in answered:
        for text in _degradations_of(answer):
            chunks_by_text.setdefault(text, []).append(answer.chunk_index)
    for text, chunks in chunks_by_text.items():
        yield f"{_enumerated(sorted(chunks))}: {text}"


def _degradations_of(answer: ChunkAnswer) -> Iterable[str]:
    assert answer.text is not None
    decode = answer.text.decode
    if missing := decode.missing_pts_seconds:
        yield (
            f"{len(missing)} of its frames, from {missing[0]:.1f} s to {missing[-1]:.1f} s, could not be decoded and "
            "were skipped."
        )
    if decode.is_damaged:
        yield "the video is damaged there, and its frames may show something that never existed."
    if decode.untreated:
        yield f"frames were {_describe_untreated(decode.untreated)}: no backend in decoding.backend_order supports it."
    if decode.fallback_reason:
        yield f"decoded by {decode.backend}: {decode.fallback_reason}."
    if answer.text.generation.finish_reason == CUT_OFF:
        yield "the answer was cut off at max_tokens."


def _describe_untreated(treatment: PictureTreatment) -> str:
    missing = ["not tone-mapped to SDR"] if treatment.tone_mapped_from else []
    missing += ["not deinterlaced"] if treatment.is_deinterlaced else []
    return " and ".join(missing)


def _enumerated(chunks: Sequence[int]) -> str:
    """`Chunk 3`, or `Chunks 0-4, 7`."""
    runs: list[list[int]] = []
    for chunk in chunks:
        if runs and chunk == runs[-1][-1] + 1:
            runs[-1].append(chunk)
        else:
            runs.append([chunk])
    names = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
    return f"Chunk{'s' if len(chunks) > 1 else ''} {names}"
