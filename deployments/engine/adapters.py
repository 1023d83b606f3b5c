"""LoRA adapters of the engine, by the names that clients use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from vllm.config.lora import MaxLoRARanks
from vllm.lora.request import LoRARequest


class Adapters:
    """Folders in PEFT's format. vLLM reads one when it is first asked for, and its caches keep adapters apart."""

    def __init__(self, paths: Mapping[str, str]) -> None:
        """Raises ValueError for a folder that holds no adapter, or one of a rank that vLLM does not take."""
        self._max_rank = max((_rank(name, Path(path)) for name, path in paths.items()), default=0)
        self._requests = {
            name: LoRARequest(lora_name=name, lora_int_id=number, lora_path=path)
            for number, (name, path) in enumerate(sorted(paths.items()), start=1)
        }

    @property
    def engine_args(self) -> dict[str, Any]:
        """What vLLM's AsyncEngineArgs need for them."""
        if not self._requests:
            return {}
        return {
            "enable_lora": True,
            # Any mix of them in one step: with fewer, requests wait for those of other adapters.
            "max_loras": len(self._requests),
            "max_lora_rank": min(rank for rank in get_args(MaxLoRARanks) if rank >= self._max_rank),
        }

    def request(self, name: str | None) -> LoRARequest | None:
        """None where no adapter is asked for."""
        return None if name is None else self._requests[name]


def _rank(name: str, folder: Path) -> int:
    try:
        rank = json.loads((folder / "adapter_config.json").read_text())["r"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"lora_adapters: {name!r} is no folder with an adapter_config.json that gives its rank, `r` "
            f"({type(error).__name__})."
        ) from error
    highest = max(get_args(MaxLoRARanks))
    if not isinstance(rank, int) or not 1 <= rank <= highest:
        raise ValueError(f"lora_adapters: {name!r} has rank {rank!r}; vLLM takes 1 to {highest}.")
    return rank
