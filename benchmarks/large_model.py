"""Qwen3-VL-8B as far as its cost goes: its shapes, for an engine that fills them with dummy weights.

What is no matter of cost (tokenizer, chat template, processor) is the embedded model's, so that nothing is downloaded:
most tokens that dummy weights write have no text then.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from deployments.model_choice import DEMO_MODEL

FILES_AS_THEY_ARE = (
    "chat_template.jinja",
    "generation_config.json",
    "preprocessor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "video_preprocessor_config.json",
)
TEXT_SHAPE: dict[str, Any] = {
    "vocab_size": 151936,
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "rope_theta": 5_000_000,
    "rope_scaling": {"mrope_interleaved": True, "mrope_section": [24, 20, 20], "rope_type": "default"},
    "tie_word_embeddings": False,
}
VISION_SHAPE: dict[str, Any] = {
    "depth": 27,
    "deepstack_visual_indexes": [8, 16, 24],
    "hidden_size": 1152,
    "intermediate_size": 4304,
    "num_heads": 16,
    "num_position_embeddings": 2304,
    "out_hidden_size": 4096,
    "patch_size": 16,
}
"""Both as published with Qwen/Qwen3-VL-8B-Instruct."""


def write_model(folder: Path, text: dict[str, Any] | None = None, vision: dict[str, Any] | None = None) -> Path:
    """A checkpoint without weights in `folder`, for load_format `dummy`. `text` and `vision` change its shapes."""
    config = json.loads((DEMO_MODEL / "config.json").read_text())
    config["text_config"] |= TEXT_SHAPE | (text or {})
    config["vision_config"] |= VISION_SHAPE | (vision or {})
    config["tie_word_embeddings"] = config["text_config"]["tie_word_embeddings"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    for name in FILES_AS_THEY_ARE:
        shutil.copy(DEMO_MODEL / name, folder)
    return folder
