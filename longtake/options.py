"""The fields of `POST /v1/analyses` that describe an analysis, typed. Left out, the server's default holds."""

from __future__ import annotations

from typing import Any, TypedDict


class AnalysisOptions(TypedDict, total=False):
    """How to cut a video, look at it and write about it. Names, meaning and limits are those of the HTTP API."""

    model: str
    """The served model or one of its LoRA adapters."""
    max_tokens: int
    """Most tokens of each chunk's answer, and of the merged one."""
    temperature: float
    """0 takes the likeliest token each time."""
    top_p: float
    top_k: int
    """0 and -1 switch it off."""
    seed: int
    """The same seed gives the same answer. Without one the server picks one and returns it."""
    presence_penalty: float
    frequency_penalty: float
    stop: str | list[str]
    """The answer ends before any of these."""
    response_format: dict[str, Any]
    """Structured output, as in OpenAI's API: text, json_object or json_schema."""
    chunk_response_format: dict[str, Any]
    """The same for chunk answers that are merged; by default that of the answer."""
    logprobs: bool
    """Whether to return the log probability of each token of the answer."""
    top_logprobs: int
    """How many of the likeliest tokens to return for each place, if `logprobs` is set."""
    chunk_duration: float
    """Seconds per chunk. The server shortens chunks whose frames do not fit the model."""
    chunk_overlap: float
    """Seconds that neighbouring chunks share."""
    fps: float
    """Frames to sample per second of video."""
    nframes: int
    """Frames to sample per chunk, instead of `fps`."""
    min_frames: int
    """Least frames per chunk, with `fps`."""
    max_frames_per_chunk: int
    min_pixels: int
    """Per frame."""
    max_pixels: int
    """Per frame."""
    total_pixels: int
    """Over the frames of one chunk."""
    resized_height: int
    """The size of frames together with `resized_width`, instead of bounds on their pixels."""
    resized_width: int
    video_start: float
    """Seconds from the first frame."""
    video_end: float
    """Seconds; by default the end of the video."""
    sample_fps: float
    """For a list of images: how many of them make a second of video."""
    include_video_metadata: bool
    """Whether each chunk's result lists its sampled frames."""
    aggregate: bool
    """Whether to merge the chunk answers into one."""
    aggregation_prompt: str
    """How to merge them, instead of the server's own instruction."""
    cache_salt: str
    """Frames and tokens cached by earlier requests are reused only by requests with the same salt."""


class Webhook(TypedDict):
    """A receiver for the signed POST that the server sends when a stored analysis has ended."""

    url: str
    """http or https."""


class SubmitOptions(AnalysisOptions, total=False):
    """Options that only stored analyses have, beside those of every analysis."""

    metadata: dict[str, str]
    """The client's own names and values, returned with the analysis."""
    webhook: Webhook
    """Requires a secret in the server's configuration to sign with."""
