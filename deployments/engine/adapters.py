"""LoRA adapters of the engine, keyed by the names that clients use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from vllm.config.lora import MaxLoRARanks
from vllm.lora.request import LoRARequest


class Adapters:
    """Adapters in folders in PEFT's format. vLLM loads one on first use, and its caches keep adapters separate."""

    def __init__(self, paths: Mapping[str, str]) -> None:
        """Raises ValueError for a folder without an adapter, and for a rank that vLLM does not support."""
        self._max_rank = max((_rank(name, Path(path)) for name, path in paths.items()), default=0)
        self._requests = {
            name: LoRARequest(lora_name=name, lora_int_id=number, lora_path=path)
            for number, (name, path) in enumerate(sorted(paths.items()), start=1)
        }

    @property
    def engine_args(self) -> dict[str, Any]:
        """The arguments of vLLM's AsyncEngineArgs for these adapters."""
        if not self._requests:
            return {}
        return {
            "enable_lora": True,
            # One step can then mix all of them. With fewer, requests wait for those of other adapters.
            "max_loras": len(self._requests),
            "max_lora_rank": min(rank for rank in get_args(MaxLoRARanks) if rank >= self._max_rank),
        }

    def request(self, name: str | None) -> LoRARequest | None:
        """vLLM's reference to the adapter `name`; `None` for the base model."""
        return None if name is None else self._requests[name]


def _rank(name: str, folder: Path) -> int:
    try:
        rank = json.loads((folder / "adapter_config.json").read_text())["r"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"lora_adapters: {name!r} is not a folder with an adapter_config.json that contains the rank, `r` "
            f"({type(error).__name__})."
        ) from error
    highest = max(get_args(MaxLoRARanks))
    if not isinstance(rank, int) or not 1 <= rank <= highest:
        raise ValueError(f"lora_adapters: {name!r} has rank {rank!r}; vLLM supports 1 to {highest}.")
    return rank
