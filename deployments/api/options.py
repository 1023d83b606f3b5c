"""The options that all dialects share, under the same names."""

import json
import secrets
import time
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from deployments.api.response_format import ResponseFormatBody
from deployments.model_choice import ModelChoice, RequestDefaults
from pipeline.analysis import AnalysisJob
from pipeline.answers.prompting import CITING_MERGE_INSTRUCTION, DEFAULT_MERGE_INSTRUCTION, checked_prompt
from pipeline.errors import InvalidRequest
from pipeline.planning.visual_tokens import (
    DEFAULT_MAX_PIXELS,
    DEFAULT_MIN_FRAMES,
    DEFAULT_TOTAL_PIXELS,
    FACTOR_PX,
    MAX_ASPECT_RATIO,
    MAX_FRAMES,
)
from pipeline.types import ChunkingRequest, FrameSampling, Prompt, StoredVideo, TokenSampling, VideoSource
from pipeline.video.frame_lists import MAX_SAMPLE_FPS, MIN_SAMPLE_FPS

DEFAULT_FPS = 2.0
MAX_SIDE_PX = 8192
MAX_STOPS = 16

StopText = Annotated[str, StringConstraints(min_length=1, max_length=256)]


def _as_list(value: Any) -> Any:
    """Accept a single text, and a list that a form sends as JSON."""
    if not isinstance(value, str):
        return value
    if value.startswith("["):
        with suppress(ValueError):
            return json.loads(value)
    return [value]


class AnalysisOptions(BaseModel):
    """How a video is chunked, sampled and analysed."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True)

    model: str | None = None
    """The served model, which is the default, or one of its LoRA adapters."""
    max_tokens: int = Field(default=512, ge=1)
    """Limit for the tokens of each chunk's answer, and of the merged answer."""
    temperature: float | None = Field(default=None, ge=0, le=2)
    """0 always picks the likeliest token. The default suits the served model."""
    top_p: float = Field(default=0.8, gt=0, le=1)
    top_k: int = Field(default=20, ge=-1)
    """0 and -1 disable it."""
    seed: int | None = Field(default=None, ge=0, lt=2**63)
    """Random by default; the answer contains it."""
    presence_penalty: float = Field(default=0.0, ge=-2, le=2)
    frequency_penalty: float = Field(default=0.0, ge=-2, le=2)
    stop: Annotated[list[StopText], BeforeValidator(_as_list)] = Field(default=[], max_length=MAX_STOPS)
    """The answer ends before any of these texts."""
    response_format: ResponseFormatBody | None = None
    """The format of the answer, as in OpenAI's API: text, json_object or json_schema. It also applies to chunk answers,
    unless chunk_response_format is given."""
    chunk_response_format: ResponseFormatBody | None = None
    """The format of the chunk answers that are merged; by default the same as response_format."""
    logprobs: bool = False
    """Whether to return the log probability of each token of the answer."""
    top_logprobs: int | None = Field(default=None, ge=0, le=20)
    """Number of likeliest alternatives to return for each token. Requires logprobs."""
    chunk_duration: float | None = Field(default=None, ge=1, le=3600)
    """Seconds; the default suits the served model. Chunks get shorter if their frames would not fit the model."""
    chunk_overlap: float = Field(default=2.0, ge=0, le=600)
    """Seconds that neighbouring chunks share."""
    fps: float | None = Field(default=None, gt=0, le=60)
    """Frames sampled per second of video. If neither fps nor nframes is given: 2, or all frames of a list of images."""
    nframes: int | None = Field(default=None, ge=2, le=MAX_FRAMES)
    """Frames sampled from each chunk, instead of fps."""
    min_frames: int = Field(default=DEFAULT_MIN_FRAMES, ge=2, le=MAX_FRAMES)
    """Fewest frames sampled from each chunk, if fps is given and the video has as many."""
    max_frames_per_chunk: int = Field(default=MAX_FRAMES, ge=2, le=MAX_FRAMES)
    min_pixels: int | None = Field(default=None, ge=FACTOR_PX**2, le=DEFAULT_MAX_PIXELS)
    """Pixels per frame; the default suits the served model."""
    max_pixels: int | None = Field(default=None, ge=FACTOR_PX**2, le=DEFAULT_MAX_PIXELS)
    """Pixels per frame; the default suits the served model."""
    total_pixels: int = Field(default=DEFAULT_TOTAL_PIXELS, ge=2 * FACTOR_PX**2)
    """Pixels of all frames of one chunk together."""
    resized_height: int | None = Field(default=None, ge=1, le=MAX_SIDE_PX)
    """Height of the frames, rounded to a multiple of 32, instead of the bounds above. Requires resized_width."""
    resized_width: int | None = Field(default=None, ge=1, le=MAX_SIDE_PX)
    video_start: float = Field(default=0.0, ge=0)
    """Seconds from the first frame."""
    video_end: float | None = Field(default=None, gt=0)
    """Seconds; by default the end of the video."""
    sample_fps: float | None = Field(default=None, ge=MIN_SAMPLE_FPS, le=MAX_SAMPLE_FPS)
    """Images per second in a list of images; 2 by default."""
    include_video_metadata: bool = False
    """Whether each chunk's result lists the frames that the model saw."""
    aggregate: bool = True
    """Whether the chunk answers are merged into one."""
    aggregation_prompt: str | None = None
    """The instruction for merging them, instead of the server's own."""

    cache_salt: str | None = Field(default=None, min_length=1, max_length=256)
    """Cached frames and tokens are shared only among requests with the same salt."""

    @model_validator(mode="after")
    def _agree(self) -> Self:
        # Not ValueError: pydantic would blame the whole request, and not the field.
        if self.fps is not None and self.nframes is not None:
            raise InvalidRequest("fps and nframes are both given; give one of them.", param="fps")
        if self.top_logprobs is not None and not self.logprobs:
            raise InvalidRequest("top_logprobs is given without logprobs; give logprobs: true too.", param="logprobs")
        if (self.resized_height is None) != (self.resized_width is None):
            given, lacking = ("resized_height", "resized_width")[:: 1 if self.resized_width is None else -1]
            raise InvalidRequest(f"{given} is given without {lacking}; give both or neither.", param=lacking)
        if self.video_end is not None and self.video_end <= self.video_start:
            raise InvalidRequest(
                f"video_end ({self.video_end:g} s) must be after video_start ({self.video_start:g} s).",
                param="video_end",
            )
        return self

    def job(self, source: VideoSource, prompt: Prompt, served: ModelChoice) -> AnalysisJob:
        """Return the job, with every default filled in.

        Raises InvalidRequest for an invalid prompt, contradictory pixel bounds and an overlap as long as the chunks;
        UnknownModel for a model that is not served.
        """
        defaults = served.defaults
        checked_prompt(prompt.text, "prompt")
        # A schema defines itself how times are written.
        is_citing = served.cites_times and not (self.response_format and self.response_format.json_format())
        instruction = CITING_MERGE_INSTRUCTION if is_citing else DEFAULT_MERGE_INSTRUCTION
        if self.aggregation_prompt is not None:
            instruction = checked_prompt(self.aggregation_prompt, "aggregation_prompt")
        token_sampling = replace(self._token_sampling(defaults), adapter=served.adapter(self.model))
        chunk_format = self.chunk_response_format or self.response_format
        return AnalysisJob(
            source=source,
            prompt=prompt,
            chunking=self._chunking(source, defaults),
            token_sampling=token_sampling,
            chunk_token_sampling=replace(
                token_sampling, json_format=chunk_format.json_format() if chunk_format else None, num_logprobs=None
            ),
            aggregate=self.aggregate,
            merge_instruction=instruction,
            asked_at=time.time(),
            asks_for_times=served.cites_times and not (chunk_format and chunk_format.json_format()),
            cache_salt=self.cache_salt,
        )

    def _token_sampling(self, defaults: RequestDefaults) -> TokenSampling:
        """Token sampling of the answer."""
        return TokenSampling(
            max_tokens=self.max_tokens,
            temperature=defaults.temperature if self.temperature is None else self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            seed=secrets.randbelow(2**31) if self.seed is None else self.seed,
            presence_penalty=self.presence_penalty,
            frequency_penalty=self.frequency_penalty,
            stop=tuple(self.stop),
            json_format=self.response_format.json_format() if self.response_format else None,
            num_logprobs=self.top_logprobs or 0 if self.logprobs else None,
        )

    def _chunking(self, source: VideoSource, defaults: RequestDefaults) -> ChunkingRequest:
        min_pixels = defaults.min_pixels if self.min_pixels is None else self.min_pixels
        if self.max_pixels is not None and self.max_pixels < min_pixels:
            raise InvalidRequest(
                f"max_pixels ({self.max_pixels}) is below min_pixels ({min_pixels}); lower min_pixels too.",
                param="max_pixels",
            )
        chunk_duration = defaults.chunk_duration_seconds if self.chunk_duration is None else self.chunk_duration
        if self.chunk_overlap >= chunk_duration:
            raise InvalidRequest(
                f"chunk_overlap ({self.chunk_overlap:g} s) must be shorter than chunk_duration ({chunk_duration:g} s).",
                param="chunk_overlap",
            )
        takes_all = isinstance(source, StoredVideo) and source.is_frame_list
        fps = DEFAULT_FPS if self.fps is None and self.nframes is None and not takes_all else self.fps
        return ChunkingRequest(
            chunk_duration_seconds=chunk_duration,
            chunk_overlap_seconds=self.chunk_overlap,
            video_start_seconds=self.video_start,
            video_end_seconds=self.video_end,
            frame_sampling=FrameSampling(
                fps=fps,
                nframes=self.nframes,
                max_frames_per_chunk=self.max_frames_per_chunk,
                min_pixels=min_pixels,
                max_pixels=max(min_pixels, self.max_pixels or defaults.max_pixels),
                total_pixels=self.total_pixels,
                min_frames=self.min_frames,
                resized_px=self._resized_px(),
            ),
        )

    def _resized_px(self) -> tuple[int, int] | None:
        if self.resized_height is None or self.resized_width is None:
            return None
        sides = self.resized_height, self.resized_width
        if max(sides) > MAX_ASPECT_RATIO * min(sides):
            raise InvalidRequest(
                f"resized_height ({sides[0]}) and resized_width ({sides[1]}) are beyond {MAX_ASPECT_RATIO}:1, the "
                "most that Qwen3-VL supports.",
                param="resized_height",
            )
        return sides
