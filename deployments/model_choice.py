"""Chooses the model, its placement and its engine arguments."""

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
"""Part of the source. The path must be the same on every node that may run the engine."""


@dataclass(frozen=True)
class RequestDefaults:
    """Defaults that suit a model, unless the request or the operator sets them."""

    min_pixels: int
    """Pixels per frame."""
    max_pixels: int
    """Pixels per frame."""
    temperature: float
    """0 always picks the likeliest token."""
    chunk_duration_seconds: float = 60.0


@dataclass(frozen=True)
class ModelChoice:
    """A model, its placement and its engine."""

    model: str
    served_model_name: str
    device: Literal["cuda", "cpu"]
    reason: str
    defaults: RequestDefaults
    deployment_options: Mapping[str, Any]
    """Options of the engine's deployment in Serve: its placement."""
    engine_args: Mapping[str, Any] = field(repr=False)
    environment: Mapping[str, str]
    """Variables for vLLM, set before it is imported."""
    stall_seconds: float
    """A busy engine that finishes no step for this long is hung."""
    lora_adapters: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Folders of adapters, by the names that clients use."""
    cites_times: bool = True
    """Whether the model can be instructed to write times as [MM:SS]."""
    notice: str | None = None
    """What users must know about this model; part of every answer."""

    def adapter(self, name: str | None) -> str | None:
        """Return the adapter that is served as `name`; None for the model itself.

        Raises UnknownModel for any other name.
        """
        if name is None or name == self.served_model_name:
            return None
        if name not in self.lora_adapters:
            served = ", ".join(map(repr, (self.served_model_name, *self.lora_adapters)))
            verb = "are those" if self.lora_adapters else "is the one"
            raise UnknownModel(f"The model is {name!r}; {served} {verb} served here.", param="model")
        return name

    def served_name(self, adapter: str | None) -> str:
        """Return the name under which an adapter, or the model itself, is served."""
        return adapter or self.served_model_name


def is_demo_model(model: str) -> bool:
    """Whether `model` is the embedded model, however its path is written."""
    return Path(model).resolve() == DEMO_MODEL


def choose_model(settings: AppSettings, *, num_gpus: float, vllm_has_cuda: bool) -> ModelChoice:
    """Choose a model that suits the cluster, on the best device available. An explicit `model` overrides the choice.

    Raises ValueError if an adapter has the model's own name.
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
        # These settings are for a larger model: the few heads of this one may not divide by them.
        settings = settings.model_copy(update={"tensor_parallel_size": 1, "pipeline_parallel_size": 1})
    served_model_name = settings.served_model_name or _name(model)
    if served_model_name in settings.lora_adapters:
        raise ValueError(f"lora_adapters contains {served_model_name!r}, the model's own name; rename the adapter.")
    return ModelChoice(
        model=model,
        served_model_name=served_model_name,
        device=device,
        reason=reason,
        defaults=_defaults(settings, model, on_gpu),
        deployment_options=_deployment_options(settings, on_gpu),
        engine_args=_engine_args(settings, model, on_gpu) | settings.engine_args,
        environment=_environment(model, on_gpu),
        stall_seconds=settings.engine_stall_seconds or _stall_seconds(model, on_gpu),
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
"""The sizes that the demo model was trained on. Temperature 0, since any sampled answer is a mistake. For a film of
ten minutes it invents nothing in chunks of 30 s, and a scene or two in chunks of a minute (`make truth`)."""
QWEN_TEMPERATURE = 0.7
"""Together with top_p 0.8 and top_k 20 the default of Qwen3-VL-Instruct's own generation_config.json."""


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
    # No CPUs: decoders that scale up while a dead engine is replaced would take its CPUs, and it would never start.
    actor: dict[str, Any] = {"num_cpus": 0}
    labels = settings.engine_node_labels
    if on_gpu and settings.engine_executor == "ray":
        # Each of vLLM's workers takes a bundle of one GPU. The replica is placed in the first bundle, but reserves
        # nothing of it. PACK uses as few nodes as possible.
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
    if Path(model).is_dir():  # only a name may need a download
        environment["HF_HUB_OFFLINE"] = "1"
    if not on_gpu:
        # The engine core then runs its only worker itself, which saves a process and 15 s of start-up.
        environment["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
        # Threads that wait for each other sleep. By default they spin, and while one waits for a core that a decoder
        # uses, the others burn theirs: a film of ten minutes took 16 s (18 s of CPU) instead of 5 s (8 s).
        environment["OMP_WAIT_POLICY"] = "PASSIVE"
    return environment


def _stall_seconds(model: str, on_gpu: bool) -> float:
    if on_gpu:
        return 40.0  # a step of 16,384 tokens takes seconds; the first with a new kernel may compile it
    if is_demo_model(model):
        return 20.0  # a whole chunk takes a second
    return 600.0  # a prompt is one step, and 16,384 tokens of a model with 2 billion weights take minutes


def _engine_args(settings: AppSettings, model: str, on_gpu: bool) -> dict[str, Any]:
    common = {
        "model": model,
        "tensor_parallel_size": settings.tensor_parallel_size,
        "pipeline_parallel_size": settings.pipeline_parallel_size,
        # Left unset, vLLM silently picks `ray` inside a placement group.
        "distributed_executor_backend": _executor(settings, on_gpu),
        # Each GPU encodes whole segments of a chunk. The vision tower is narrow (1152 wide): splitting its weights like
        # the language model's would synchronize the GPUs twice per layer.
        "mm_encoder_tp_mode": "data" if settings.tensor_parallel_size > 1 else "weights",
        # The segments of a chunk are videos. The engine never receives images.
        "limit_mm_per_prompt": {"image": 0, "video": MOST_SEGMENTS},
        # vLLM's own default, set here because Longtake relies on it: further questions reuse a chunk's tokens.
        "enable_prefix_caching": True,
        # First come, first served, and merges before new chunks (AnalysisJob.turn).
        "scheduling_policy": "priority",
        # Without it an unsure model may write whitespace forever.
        "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
        # deployments/engine/inputs.py bypasses the processor, so its cache would stay empty in two processes.
        "mm_processor_cache_gb": 0,
    }
    if on_gpu:
        return common | _GPU_ENGINE_ARGS | (_FP8_ENGINE_ARGS if model == GPU_MODEL else {})
    return common | _CPU_ENGINE_ARGS | (_DEMO_ENGINE_ARGS if is_demo_model(model) else {})


def _executor(settings: AppSettings, on_gpu: bool) -> str:
    if on_gpu and settings.engine_executor == "ray":
        return "ray"
    return "mp" if settings.gpus_per_engine > 1 else "uni"  # vLLM's CPU build has no `ray` executor


# For Qwen3-VL-8B in FP8 on a GPU of 80 GB or more: 11 GB of weights leave some 55 GB for keys and values. Async
# scheduling is not set: vLLM enables it wherever it works, which is not with a pipeline.
_GPU_ENGINE_ARGS: dict[str, Any] = {
    # A minute at two of the largest frames a second is 47,000 tokens.
    "max_model_len": 65536,
    # The default of AsyncLLM.from_engine_args, 2048, splits the prefill of one chunk into many steps. A minute of
    # 640x352, 13,700 tokens, is one step here. The vision tower has the same budget: the largest segment, 12,288
    # tokens, fits, and its cache takes 0.5 GB at 32 KB a token.
    "max_num_batched_tokens": 16384,
    # As many as Serve admits (max_ongoing_requests) run at once, as far as their keys and values fit.
    "max_num_seqs": 64,
    # The engine has the GPU to itself. The rest is for memory that profiling does not see.
    "gpu_memory_utilization": 0.9,
}
_FP8_ENGINE_ARGS: dict[str, Any] = {
    # 72 KiB a token instead of 144: room for 54 minutes of 640x352 instead of 27. Reading keys and values is also most
    # of the cost of generating a token. For GPUs that compute in FP8, like the checkpoint.
    "kv_cache_dtype": "fp8",
}
_CPU_ENGINE_ARGS: dict[str, Any] = {
    "dtype": "bfloat16",
    "enforce_eager": True,
    "max_num_seqs": 4,
    "max_model_len": 16384,
    # vLLM 0.32's CPU runner crashes on a partial prefill of a request with a seed ("CPU Generator does not use
    # offset"), and every request here has one. So each prompt is prefilled in one step.
    "enable_chunked_prefill": False,
    "max_num_batched_tokens": 16384,
}
_DEMO_ENGINE_ARGS: dict[str, Any] = {
    # 1.5 KB a token: room for 10 contexts. It skips a profiling run that takes longer than loading the model.
    "kv_cache_memory_bytes": 256 * 1024**2,
    "skip_mm_profiling": True,
}
