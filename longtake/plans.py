"""What the server would look at: a video, its plan, and the estimate of an analysis.

Names are those of the HTTP API. Times are seconds from the video's first frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from longtake import exports


@dataclass(frozen=True)
class VideoInfo:
    width: int
    height: int
    fps: float
    duration: float
    total_frames: int
    codec: str


@dataclass(frozen=True)
class PlannedChunk:
    chunk_index: int
    start_time: float
    end_time: float
    num_frames: int
    width: int
    """Pixels at which the model sees the frames."""
    height: int


@dataclass(frozen=True)
class Plan:
    """Which chunks a video is cut into."""

    video_info: VideoInfo
    num_chunks: int
    chunk_duration: float
    chunks: tuple[PlannedChunk, ...] = field(repr=False)
    notices: tuple[str, ...] = ()

    def _repr_markdown_(self) -> str:
        rows = [
            (exports.spans([(chunk.start_time, chunk.end_time)]), f"{chunk.num_frames} of {chunk.width}x{chunk.height}")
            for chunk in self.chunks
        ]
        return exports.document([exports.table("chunk", "frames", rows), *exports.quoted(self.notices)])


@dataclass(frozen=True)
class ExpectedSeconds:
    decode_seconds: float | None
    inference_seconds: float | None
    basis: str
    merge_seconds: float | None = None


@dataclass(frozen=True)
class Estimate:
    """What an analysis would look at and cost."""

    plan: Plan
    num_chunks: int
    num_frames: int
    effective_fps: float
    visual_tokens: int
    prompt_tokens: int
    """At most."""
    frame_bytes: int
    expected_seconds: float | None
    """None where the server has measured nothing yet; `expected.basis` says so."""
    expected: ExpectedSeconds
    uncovered: tuple[tuple[float, float], ...]
    notices: tuple[str, ...]
    raw: dict[str, Any] = field(default_factory=dict, repr=False)

    def _repr_markdown_(self) -> str:
        expected = self.expected_seconds
        rows = [
            ("chunks", f"{self.num_chunks} of {self.plan.chunk_duration:g} s"),
            ("frames", f"{self.num_frames}, {self.effective_fps:g} a second"),
            ("vision tokens", f"{self.visual_tokens:,}"),
            ("prompt tokens", f"at most {self.prompt_tokens:,}"),
            ("decoded frames", f"{self.frame_bytes / 1e6:,.1f} MB"),
            ("expected", f"{expected:.1f} s" if expected is not None else "not known"),
            ("not covered", exports.spans(self.uncovered) or "nothing"),
        ]
        notes = exports.quoted([self.expected.basis, *self.notices])
        return exports.document([exports.table("plan", "", rows), *notes])
