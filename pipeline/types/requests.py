"""What a request asks of the planner and of the engine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FrameSampling:
    """Which frames to look at and at what size. With neither `fps` nor `nframes`, which exclude each other, all are."""

    fps: float | None
    nframes: int | None
    """Frames in each chunk."""
    max_frames_per_chunk: int
    min_pixels: int
    """Per frame, as in Qwen's `fetch_video`."""
    max_pixels: int
    total_pixels: int
    """Over the frames of one chunk; bounds `max_pixels` when there are many frames."""
    min_frames: int
    """In each chunk, where the video has as many; only where `fps` is set."""
    resized_px: tuple[int, int] | None = None
    """(height, width) that frames are given, to the nearest multiples of 32; the three bounds do not apply then."""

    @property
    def takes_all(self) -> bool:
        return self.fps is None and self.nframes is None


@dataclass(frozen=True)
class ChunkingRequest:
    """How to cut a video."""

    chunk_duration_seconds: float
    chunk_overlap_seconds: float
    video_start_seconds: float
    video_end_seconds: float | None
    """None means the end of the video."""
    frame_sampling: FrameSampling


@dataclass(frozen=True)
class TokenBudget:
    """What the engine's context leaves for one chunk."""

    max_model_len: int
    text_tokens: int
    """Upper bound for prompt, chat template and the tokens to be generated."""

    @property
    def vision_tokens(self) -> int:
        return self.max_model_len - self.text_tokens


@dataclass(frozen=True)
class Turn:
    """When the engine comes to a request, and with which others it may share what it has computed."""

    priority: int = 0
    """Lower goes first."""
    cache_salt: str | None = None
    """Only with those of the same salt."""


@dataclass(frozen=True)
class Trail:
    """By what everything that is done for one analysis is found again, in the logs and traces of every process."""

    analysis_id: str | None = None
    chunk_index: int | None = None
    """Where the work is for one chunk alone."""
    traceparent: str | None = None
    """The span that the work belongs to, as W3C's Trace Context writes it; None where nothing is traced."""


NO_TRAIL = Trail()


@dataclass(frozen=True)
class JsonFormat:
    """That a text is to be JSON. One that `max_tokens` cuts off is not."""

    schema: str | None = None
    """The JSON schema that it follows, itself as JSON; None: any object."""


@dataclass(frozen=True)
class TokenSampling:
    """How the engine picks tokens. A fixed `seed` makes a retry repeat the same text."""

    max_tokens: int
    temperature: float
    top_p: float
    top_k: int
    seed: int
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    stop: tuple[str, ...] = ()
    """The text ends before any of these."""
    json_format: JsonFormat | None = None
    num_logprobs: int | None = None
    """Alternatives told for each token of the text, beside its own log probability; None: not even that."""
    adapter: str | None = None
    """The LoRA adapter by whose model they are picked; None: the model as it is."""


@dataclass(frozen=True)
class Prompt:
    """What the engine is told. Chat formatting is the engine's own."""

    text: str
    system: str | None = None


@dataclass(frozen=True)
class Exchange:
    """A question of before, and what was answered."""

    question: str
    answer: str
