"""What may be asked for beside a prompt: the fields of `POST /v1/analyses`, typed."""

from __future__ import annotations

from typing import Any, TypedDict


class AnalysisOptions(TypedDict, total=False):
    """The server's own defaults hold for what is not given. Its /docs and the README say what each means."""

    model: str
    max_tokens: int
    temperature: float
    top_p: float
    top_k: int
    seed: int
    presence_penalty: float
    frequency_penalty: float
    stop: str | list[str]
    response_format: dict[str, Any]
    chunk_response_format: dict[str, Any]
    logprobs: bool
    top_logprobs: int
    chunk_duration: float
    chunk_overlap: float
    fps: float
    nframes: int
    min_frames: int
    max_frames_per_chunk: int
    min_pixels: int
    max_pixels: int
    total_pixels: int
    resized_height: int
    resized_width: int
    video_start: float
    video_end: float
    sample_fps: float
    include_video_metadata: bool
    aggregate: bool
    aggregation_prompt: str
    cache_salt: str
    metadata: dict[str, str]
