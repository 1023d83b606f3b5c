"""The arguments of the application in `serve_config.yaml`."""

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
"""Arguments of vLLM that Longtake derives from settings of its own, and those settings."""

AdapterName = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class AnalysisSettings(Settings):
    """How analyses run."""

    chunks_in_flight: int = Field(default=8, ge=1)
    """Chunks of one analysis that are processed concurrently: decoding stays this far ahead of inference."""
    frames_in_flight_bytes: int | None = Field(default=None, gt=0)
    """Limit on the decoded frames that one Orchestrator replica has in flight. `None` uses a share of the object store
    that leaves room for twice as many, because Ray frees objects some seconds after their last use."""
    frames_kept_bytes: int | None = Field(default=None, ge=0)
    """Limit on the decoded frames that one Orchestrator replica caches for further questions. `None` uses a share of
    the object store; 0 disables the cache."""
    max_analyses: int = Field(default=100, ge=1)
    """Analyses that one Orchestrator replica runs concurrently; a further one gets status 429."""
    max_chunks: int = Field(default=5000, ge=1)
    chunk_attempts: int = Field(default=4, ge=1)
    """Attempts at one chunk. A chunk is retried from its decoding if a replica is lost."""
    chunk_timeout_seconds: float = Field(default=600, gt=0)
    """Timeout of one attempt at one chunk, including the wait for a replica."""
    default_max_pixels: int | None = Field(default=None, ge=32 * 32)
    """Default for the `max_pixels` of requests, per frame. `None` uses a value that suits the model and the device."""


class AppSettings(Settings):
    """Everything under `args` of the application."""

    model: str = AUTO_MODEL
    """A folder or a Hugging Face id; `auto` chooses a model that suits the cluster."""
    served_model_name: str | None = None
    """The name that clients use. `None` uses the last part of `model`."""
    tensor_parallel_size: int = Field(default=1, ge=1)
    """GPUs that share each layer of one engine."""
    pipeline_parallel_size: int = Field(default=1, ge=1)
    """Pipeline stages of one engine, each on `tensor_parallel_size` GPUs. Each stage runs a part of the layers."""
    engine_executor: Literal["mp", "ray"] = "mp"
    """`mp` puts all GPUs of one engine on one node; with `ray` they may be on several, as few as possible."""
    engine_args: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of vLLM's AsyncEngineArgs. They override Longtake's own choice."""
    engine_stall_seconds: float | None = Field(default=None, gt=0)
    """A busy engine that finishes no step for this long is hung, and is replaced. It must exceed the longest step: the
    prefill of a whole prompt on a CPU, of `max_num_batched_tokens` on a GPU. None: by model and device."""
    lora_adapters: dict[AdapterName, str] = Field(default_factory=dict)
    """Folders of LoRA adapters in PEFT's format, by the names that clients send as `model`. The paths must be the same
    on every node that may run the engine."""
    engine_node_labels: dict[str, str] = Field(default_factory=dict)
    """Labels of the nodes that may run the engine. Set those of other deployments in `deployments`; options of the
    engine there would replace the ones that Longtake derives from the model."""
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
    def _refuse_own_settings(cls, engine_args: dict[str, Any]) -> dict[str, Any]:
        if twice := sorted(engine_args.keys() & ARGS_WITH_SETTINGS.keys()):
            settings = ", ".join(f"{ARGS_WITH_SETTINGS[name]} instead of {name}" for name in twice)
            raise ValueError(f"engine_args contains arguments that have settings of their own: set {settings}")
        return engine_args
