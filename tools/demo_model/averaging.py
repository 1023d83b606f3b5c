"""The mean of checkpoints of one run: `python -m tools.demo_model.averaging A B --output models/demo`.

While the rate is low a run wanders about a good place; the mean of two of its moments erred less often than either.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

WEIGHTS = "model.safetensors"


def average(checkpoints: Sequence[Path], output: Path) -> Path:
    """Writes a checkpoint to `output` with the mean of the weights of `checkpoints`, and all else of the first one.

    Raises ValueError where they are not of one model.
    """
    loaded = [load_file(checkpoint / WEIGHTS) for checkpoint in checkpoints]
    first = loaded[0]
    for other in loaded[1:]:
        if {name: tensor.shape for name, tensor in other.items()} != {name: t.shape for name, t in first.items()}:
            raise ValueError(f"{', '.join(map(str, checkpoints))} are not of one model.")
    mean = {
        name: torch.stack([weights[name].float() for weights in loaded]).mean(0).to(tensor.dtype)
        for name, tensor in first.items()
    }
    if output.resolve() != checkpoints[0].resolve():
        shutil.copytree(checkpoints[0], output, dirs_exist_ok=True)
    save_file(mean, output / WEIGHTS, metadata={"format": "pt"})
    return output


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the mean of checkpoints of one run.")
    parser.add_argument("checkpoints", type=Path, nargs="+", help="folders that the training has written")
    parser.add_argument("--output", type=Path, default=Path("models/demo"), help="folder of the checkpoint")
    arguments = parser.parse_args()
    print(f"Written: {average(arguments.checkpoints, arguments.output)}")


if __name__ == "__main__":
    main()
