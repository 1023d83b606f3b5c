"""The mean of two checkpoints."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tools.demo_model.averaging import WEIGHTS, average


def checkpoint(folder: Path, **weights: list[float]) -> Path:
    folder.mkdir()
    save_file({name: torch.tensor(values, dtype=torch.bfloat16) for name, values in weights.items()}, folder / WEIGHTS)
    (folder / "config.json").write_text("{}")
    return folder


def test_each_weight_is_the_mean_of_its_own(tmp_path: Path) -> None:
    first, second = checkpoint(tmp_path / "a", x=[1.0, 2.0], y=[4.0]), checkpoint(tmp_path / "b", x=[3.0, 2.0], y=[0.0])
    written = average([first, second], tmp_path / "mean")
    mean = load_file(written / WEIGHTS)
    assert {name: tensor.tolist() for name, tensor in mean.items()} == {"x": [2.0, 2.0], "y": [2.0]}
    assert mean["x"].dtype == torch.bfloat16
    assert (written / "config.json").read_text() == "{}"


def test_checkpoints_of_other_models_are_refused(tmp_path: Path) -> None:
    first, second = checkpoint(tmp_path / "a", x=[1.0]), checkpoint(tmp_path / "b", x=[1.0, 2.0])
    with pytest.raises(ValueError, match="not of one model"):
        average([first, second], tmp_path / "mean")
