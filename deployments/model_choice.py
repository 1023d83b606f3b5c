"""Which model is served, where, and with which engine arguments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from deployments.config import AUTO_MODEL, AppSettings
from pipeline.decoding.patches import MOST_SEGMENTS
from pipeline.errors import UnknownModel
from pipeline.planning.visual_tokens import DEFAULT_MAX_PIXELS, DEFAULT_MIN_PIXELS

GPU_MODEL = "Qwen/Qwen3-VL-8B-Instruct-FP8"
DEMO_MODEL = Path(__file__).resolve().parent.parent / "models" / "demo"
"""Comes with the source. The path must be the same on every node that may run the engine."""


@dataclass(frozen=True)
class RequestDefaults:
    """What suits a model, where neither request nor operator says."""

    min_pixels: int
    """Per frame."""
    max_pixels: int
    """Per frame."""
    temperature: float
    """Of token sampling; 0 takes the likeliest token each time."""
    chunk_duration_seconds: float = 60.0


@dataclass(frozen=True)
class ModelChoice:
    """A model, its place and its engine."""

    model: str
    served_model_name: str
    device: Literal["cuda", "cpu"]
    reason: str
    defaults: RequestDefaults
    deployment_options: Mapping[str, Any]
    """Of the engine's deployment in Serve: its place."""
    engine_args: Mapping[str, Any] = field(repr=False)
    environment: Mapping[str, str]
    """Variables for vLLM, set before it is imported."""
    lora_adapters: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Folders, by the names that clients use."""
    cites_times: bool = True
    """Whether it can be asked to write times as [MM:SS]."""
    notice: str | None = None
    """What a user of this model has to know, for every answer."""

    def adapter(self, name: str | None) -> str | None:
        """The adapter that a client asks for by `name`; None for the model itself.

        Raises UnknownModel where the name is neither's.
        """
        if name is None or name == self.served_model_name:
            return None
        if name not in self.lora_adapters:
            served = ", ".join(map(repr, (self.served_model_name, *self.lora_adapters)))
            verb = "are those" if self.lora_adapters else "is the one"
            raise UnknownModel(f"The model is {name!r}; {served} {verb} served here.", param="model")
        return name

    def served_name(self, adapter: str | None) -> str:
        """What an answer says it comes from."""
        return adapter or self.served_model_name


def is_demo_model(model: str) -> bool:
    """However its folder is written."""
    return Path(model).resolve() == DEMO_MODEL


def choose_model(settings: AppSettings, *, num_gpus: float, vllm_has_cuda: bool) -> ModelChoice:
    """Picks by what the cluster has; an explicit `model` wins, on the best device there is.

    Raises ValueError where an adapter has the model's own name.
    """
    on_gpu = num_gpus >= settings.gpus_per_engine and vllm_has_cuda
    device: Literal["cuda", "cpu"] = "cuda" if on_gpu else "cpu"
    seen = _describe_hardware(settings, num_gpus, vllm_has_cuda)
    if settings.model != AUTO_MODEL:
        model, reason = settings.model, f"the configuration names it; {seen}"
    elif on_gpu:
        model, reason = GPU_MODEL, seen
    else:
        model, reason = str(DEMO_MODEL), seen
        # The settings are those of a larger model: this one's few heads may not even divide by so many.
        settings = settings.model_copy(update={"tensor_parallel_size": 1, "pipeline_parallel_size": 1})
    served_model_name = settings.served_model_name or _name(model)
    if served_model_name in settings.lora_adapters:
        raise ValueError(f"lora_adapters names one {served_model_name!r}, as the model itself; give it another name.")
    return ModelChoice(
        model=model,
        served_model_name=served_model_name,
        device=device,
        reason=reason,
        defaults=_defaults(settings, model, on_gpu),
        deployment_options=_deployment_options(settings, on_gpu),
        engine_args=_engine_args(settings, model, on_gpu) | settings.engine_args,
        environment=_environment(model, on_gpu),
        lora_adapters=settings.lora_adapters,
        cites_times=not is_demo_model(model),
        notice=DEMO_NOTICE if is_demo_model(model) else None,
    )


DEMO_NOTICE = (
    "This answer comes from Longtake's embedded demo model. It knows nothing but generated films of coloured shapes, "
    "and lists their scenes whatever it is asked: about any other video that means nothing. For real answers set "
    "`model` to a Qwen3-VL checkpoint in serve_config.yaml, or serve on a machine with a GPU."
)


DEMO_DEFAULTS = RequestDefaults(min_pixels=4096, max_pixels=12288, temperature=0.0, chunk_duration_seconds=30.0)
"""The sizes that the demo model was trained on. It knows one answer, and any other is a mistake. Of a film of ten
minutes it invents nothing in chunks of 30 s, and a scene or two in chunks of a minute (`make truth`)."""
QWEN_TEMPERATURE = 0.7
"""With top_p 0.8 and top_k 20, what Qwen3-VL-Instruct's own generation_config.json says."""


def _defaults(settings: AppSettings, model: str, on_gpu: bool) -> RequestDefaults:
    max_pixels = DEFAULT_MAX_PIXELS if on_gpu else DEFAULT_MIN_PIXELS
    qwens = RequestDefaults(DEFAULT_MIN_PIXELS, max_pixels, QWEN_TEMPERATURE)
    defaults = DEMO_DEFAULTS if is_demo_model(model) else qwens
    operators = settings.analysis.default_max_pixels
    return defaults if operators is None else replace(defaults, max_pixels=max(operators, defaults.min_pixels))


def _describe_hardware(settings: AppSettings, num_gpus: float, vllm_has_cuda: bool) -> str:
    needed = settings.gpus_per_engine
    if num_gpus and not vllm_has_cuda:
        return f"the cluster has {num_gpus:g} GPUs, but the installed vLLM is its CPU build: running on CPU"
    if num_gpus < needed:
        return f"the cluster has {num_gpus:g} GPUs and the engine needs {needed}: running on CPU"
    return f"the cluster has {num_gpus:g} GPUs: running on {needed}"


def _name(model: str) -> str:
    return "longtake-demo" if is_demo_model(model) else model.rstrip("/").rsplit("/", 1)[-1]


def _deployment_options(settings: AppSettings, on_gpu: bool) -> dict[str, Any]:
    # No CPUs: decoders that scale up while a dead engine is replaced would take its place, and wait for it for ever.
    actor: dict[str, Any] = {"num_cpus": 0}
    labels = settings.engine_node_labels
    if on_gpu and settings.engine_executor == "ray":
        # vLLM's workers take a bundle each, which may hold one GPU at most; the replica is in the first, and takes
        # nothing of it. PACK: as few nodes as there can be.
        options = {
            "ray_actor_options": actor,
            "placement_group_bundles": [{"GPU": 1} for _ in range(settings.gpus_per_engine)],
            "placement_group_strategy": "PACK",
        }
        return options | ({"placement_group_bundle_label_selector": [labels]} if labels else {})
    if on_gpu:
        actor["num_gpus"] = settings.gpus_per_engine
    return {"ray_actor_options": actor | ({"label_selector": labels} if labels else {})}


def _environment(model: str, on_gpu: bool) -> dict[str, str]:
    environment = {"VLLM_NO_USAGE_STATS": "1"}
    if Path(model).is_dir():  # a folder is read as it is, a name may be downloaded
        environment["HF_HUB_OFFLINE"] = "1"
    if not on_gpu:
        # The engine core then runs its only worker itself: one process, and 15 s of start-up, less.
        environment["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        # Threads that wait for each other sleep. By default they spin, and where one of them waits for a core that a
        # decoder has, the others spin it away: a film of ten minutes took 16 s, 18 of CPU, and not 5 s and 8.
        environment["OMP_WAIT_POLICY"] = "PASSIVE"
    return environment


def _engine_args(settings: AppSettings, model: str, on_gpu: bool) -> dict[str, Any]:
    common = {
        "model": model,
        "tensor_parallel_size": settings.tensor_parallel_size,
        "pipeline_parallel_size": settings.pipeline_parallel_size,
        # Left unset, vLLM picks `ray` inside a placement group without saying so.
        "distributed_executor_backend": _executor(settings, on_gpu),
        # Each GPU encodes whole segments of a chunk. Cut by weights instead, as the language model is, so narrow a
        # tower (1152 wide) waits for its GPUs to agree twice in each layer.
        "mm_encoder_tp_mode": "data" if settings.tensor_parallel_size > 1 else "weights",
        # What a chunk is cut into. No images: the engine is never given one.
        "limit_mm_per_prompt": {"image": 0, "video": MOST_SEGMENTS},
        # vLLM's own default, which this rests on: a second question finds the chunk's tokens there.
        "enable_prefix_caching": True,
        # Who asked first goes first, and merges go before new chunks (pipeline.analysis.AnalysisJob.turn).
        "scheduling_policy": "priority",
        # Without it a model that is not sure of itself writes blanks for ever.
        "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
        # The processor is passed by (deployments/engine/inputs.py), and so is its cache, which two processes would mirror.
        "mm_processor_cache_gb": 0,
    }
    if on_gpu:
        return common | _GPU_ENGINE_ARGS | (_FP8_ENGINE_ARGS if model == GPU_MODEL else {})
    return common | _CPU_ENGINE_ARGS | (_DEMO_ENGINE_ARGS if is_demo_model(model) else {})


def _executor(settings: AppSettings, on_gpu: bool) -> str:
    if on_gpu and settings.engine_executor == "ray":
        return "ray"
    return "mp" if settings.gpus_per_engine > 1 else "uni"  # vLLM's CPU build knows no `ray`


# For Qwen3-VL-8B in FP8 on a GPU of 80 GB or more: 11 GB of weights leave some 55 GB for keys and values. Async
# scheduling is not named: vLLM takes it wherever it can be had, which is not with a pipeline.
_GPU_ENGINE_ARGS: dict[str, Any] = {
    # A minute at two of the largest frames a second is 47,000 tokens.
    "max_model_len": 65536,
    # AsyncLLM.from_engine_args takes 2048 otherwise, which cuts the prefill of one chunk into many steps. A minute of
    # 640x352, 13,700 tokens, is one step. The vision tower's budget follows it: the largest segment, 12,288 tokens, is
    # within, and what it keeps at 32 KB a token is 0.5 GB.
    "max_num_batched_tokens": 16384,
    # What Serve lets in (max_ongoing_requests) goes on at once, as far as there is room for its keys and values.
    "max_num_seqs": 64,
    # The engine has its GPU alone. The rest is for what profiling does not see.
    "gpu_memory_utilization": 0.9,
}
_FP8_ENGINE_ARGS: dict[str, Any] = {
    # 72 KiB a token and not 144: room for 54 minutes of 640x352 and not 27; and to read them is most of what a token
    # that is written costs. For GPUs that compute in FP8, as the checkpoint is.
    "kv_cache_dtype": "fp8",
}
_CPU_ENGINE_ARGS: dict[str, Any] = {
    "dtype": "bfloat16",
    "enforce_eager": True,
    "max_num_seqs": 4,
    "max_model_len": 16384,
    # vLLM 0.32's CPU runner dies of a partial prefill of a request with a seed ("CPU Generator does not use offset"),
    # and every request here has one. So a prompt is prefilled whole.
    "enable_chunked_prefill": False,
    "max_num_batched_tokens": 16384,
}
_DEMO_ENGINE_ARGS: dict[str, Any] = {
    # 1.5 KB a token: room for 10 contexts. The profiling run it spares takes longer than the model's loading.
    "kv_cache_memory_bytes": 256 * 1024**2,
    "skip_mm_profiling": True,
}
