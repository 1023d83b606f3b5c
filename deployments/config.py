"""The arguments of the application, as `serve_config.yaml` gives them."""

# No `from __future__ import annotations` in files whose annotations Ray inspects: it would see strings.

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints, field_validator

from pipeline.config import DecodingSettings, Settings, SourceSettings, StoreSettings, VideoLimits

AUTO_MODEL = "auto"
ARGS_WITH_SETTINGS = {
    "model": "model",
    "tensor_parallel_size": "tensor_parallel_size",
    "pipeline_parallel_size": "pipeline_parallel_size",
    "distributed_executor_backend": "engine_executor",
    "data_parallel_size": "max_replicas of VisionLanguageModel",
}
"""Arguments of vLLM by which Longtake reserves GPUs and names what it serves, and where they are set."""


AdapterName = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class AnalysisSettings(Settings):
    """How analyses run."""

    chunks_in_flight: int = Field(default=8, ge=1)
    """Of one analysis: decoding stays this far ahead of inference."""
    frames_in_flight_bytes: int | None = Field(default=None, gt=0)
    """Decoded frames that one Orchestrator replica lets exist at once. None: a share of the object store that
    leaves room for as many again, since objects are freed some seconds after their last use."""
    frames_kept_bytes: int | None = Field(default=None, ge=0)
    """Decoded frames that one Orchestrator replica keeps for the next question about them. None: a share of the object
    store; 0: none."""
    max_analyses: int = Field(default=100, ge=1)
    """Under way at once in one Orchestrator replica; one more is refused with 429."""
    max_chunks: int = Field(default=5000, ge=1)
    chunk_attempts: int = Field(default=4, ge=1)
    """A chunk is decoded and asked about again when a replica was lost, up to this many times in all."""
    chunk_timeout_seconds: float = Field(default=600, gt=0)
    """For one attempt at one chunk, waiting for a replica included."""
    default_max_pixels: int | None = Field(default=None, ge=32 * 32)
    """Per frame, where a request does not say. None: what suits the model and the device."""


class AppSettings(Settings):
    """Everything under `args` of the application."""

    model: str = AUTO_MODEL
    """A folder or a Hugging Face id; `auto` picks by what the cluster has."""
    served_model_name: str | None = None
    """The name that clients use. None: the last part of `model`."""
    tensor_parallel_size: int = Field(default=1, ge=1)
    """GPUs that share each layer of one engine."""
    pipeline_parallel_size: int = Field(default=1, ge=1)
    """Groups of so many GPUs, among which one engine's layers are dealt out."""
    engine_executor: Literal["mp", "ray"] = "mp"
    """`mp`: one engine's GPUs are in one node; `ray`: they may be in several, as few as there can be."""
    engine_args: dict[str, Any] = Field(default_factory=dict)
    """Any further argument of vLLM's AsyncEngineArgs; wins over what Longtake would choose."""
    engine_stall_seconds: float | None = Field(default=None, gt=0)
    """An engine with work that finishes no step for so long is hung, and replaced. None: what suits model and device;
    more than the longest step, which is the longest prompt's on a CPU and `max_num_batched_tokens` on a GPU."""
    lora_adapters: dict[AdapterName, str] = Field(default_factory=dict)
    """Folders in PEFT's format, by the names under which clients ask for them instead of the model. The paths must be
    the same on every node that may run the engine."""
    engine_node_labels: dict[str, str] = Field(default_factory=dict)
    """Labels of the nodes that may run the engine. The other deployments take theirs in `deployments`; the engine's
    options there would replace what follows from the model."""
    sources: SourceSettings = SourceSettings()
    limits: VideoLimits = VideoLimits()
    decoding: DecodingSettings = DecodingSettings()
    analysis: AnalysisSettings = AnalysisSettings()
    store: StoreSettings = StoreSettings()

    @property
    def gpus_per_engine(self) -> int:
        return self.tensor_parallel_size * self.pipeline_parallel_size

    @field_validator("engine_args")
    @classmethod
    def _names_nothing_twice(cls, engine_args: dict[str, Any]) -> dict[str, Any]:
        if twice := sorted(engine_args.keys() & ARGS_WITH_SETTINGS.keys()):
            instead = ", ".join(f"{name} by {ARGS_WITH_SETTINGS[name]}" for name in twice)
            raise ValueError(f"engine_args holds what has a setting of its own: set {instead}")
        return engine_args
