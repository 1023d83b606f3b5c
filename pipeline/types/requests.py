"""The parameters of a request: frame sampling, chunking, scheduling, prompt and token sampling."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FrameSampling:
    """Which frames to sample, and at what size. `fps` and `nframes` exclude each other; with neither, all are used."""

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
    """Per chunk, if the video has as many; applies only with `fps`."""
    resized_px: tuple[int, int] | None = None
    """(height, width) of the frames, rounded to multiples of 32; it replaces the three bounds on pixels."""

    @property
    def takes_all(self) -> bool:
        return self.fps is None and self.nframes is None


@dataclass(frozen=True)
class ChunkingRequest:
    """How to cut a video into chunks."""

    chunk_duration_seconds: float
    chunk_overlap_seconds: float
    video_start_seconds: float
    video_end_seconds: float | None
    """None means the end of the video."""
    frame_sampling: FrameSampling


@dataclass(frozen=True)
class TokenBudget:
    """Tokens that the engine's context leaves for one chunk."""

    max_model_len: int
    text_tokens: int
    """Upper bound for prompt, chat template and the tokens to be generated."""

    @property
    def vision_tokens(self) -> int:
        return self.max_model_len - self.text_tokens


@dataclass(frozen=True)
class Turn:
    """An engine request's place in the queue, and the requests it may share computed tokens with."""

    priority: int = 0
    """The lowest number runs first."""
    cache_salt: str | None = None
    """Requests share only with requests of the same salt."""


@dataclass(frozen=True)
class Trail:
    """Identifies the work of one analysis in the logs and traces of every process."""

    analysis_id: str | None = None
    chunk_index: int | None = None
    """Set for work on a single chunk."""
    traceparent: str | None = None
    """The span of the work, in the format of W3C Trace Context; None without tracing."""


NO_TRAIL = Trail()


@dataclass(frozen=True)
class JsonFormat:
    """Constrains a text to JSON. A text that `max_tokens` cuts off is not valid JSON."""

    schema: str | None = None
    """The JSON schema, itself as JSON; None allows any object."""


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
    """Stop sequences; the text ends before the first of them."""
    json_format: JsonFormat | None = None
    num_logprobs: int | None = None
    """Alternatives to return for each token, besides its own log probability; None returns neither."""
    adapter: str | None = None
    """The LoRA adapter to use; None uses the base model."""


@dataclass(frozen=True)
class Prompt:
    """The texts of an engine request. The engine applies the chat template."""

    text: str
    system: str | None = None


@dataclass(frozen=True)
class Exchange:
    """An earlier question and its answer."""

    question: str
    answer: str
