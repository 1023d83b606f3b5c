"""HDR and interlaced test videos: what each needs, and how tests see that it was done."""

from __future__ import annotations

from dataclasses import replace

from pipeline.types import Chunk, DecodedFrames, HdrTransfer, PictureTreatment
from tests.clips import TREATED_CLIPS, number_of
from tests.pipeline.decoding.chunks import SMALL

HDR = {"pq": HdrTransfer.PQ, **dict.fromkeys(["hlg", "rotated_hlg", "interlaced_hlg"], HdrTransfer.HLG)}
INTERLACED = [name for name in TREATED_CLIPS if name.startswith("interlaced")]
ALL = replace(SMALL, fps=25.0)
UNTREATED = PictureTreatment()


def check_treated_numbers(name: str, chunk: Chunk, result: DecodedFrames) -> None:
    numbers = [number_of(frame, TREATED_CLIPS[name].quarter_turns) for frame in result.frames]
    assert numbers == [TREATED_CLIPS[name].number(index) for index in chunk.frame_indices.tolist()]
    assert result.report.missing_pts_seconds == ()
    assert result.report.untreated == UNTREATED
    assert (result.report.backend, result.report.fallback_reason) == ("pyav", None)


def untreated(chunk: Chunk) -> Chunk:
    return replace(chunk, treatment=UNTREATED)
