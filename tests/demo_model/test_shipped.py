"""The checkpoint in models/demo is the one that this code makes and trains."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors import safe_open
from tokenizers import Tokenizer

from deployments.model_choice import DEMO_MODEL
from tools.demo_model.checkpoint import new_model, write_checkpoint

MOST_BYTES = 20 * 1024**2
WEIGHTS, CARD = "model.safetensors", "README.md"


@pytest.fixture(scope="module")
def untrained(tokenizer: Tokenizer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_checkpoint(new_model(tokenizer, 0), tokenizer, tmp_path_factory.mktemp("untrained"))


def test_every_file_but_the_weights_is_what_the_code_writes(untrained: Path) -> None:
    """A change of a prompt or word changes token ids: the model would have to be trained again."""
    assert {path.name for path in DEMO_MODEL.iterdir()} == {path.name for path in untrained.iterdir()} | {CARD}
    for path in untrained.iterdir():
        if path.name != WEIGHTS:
            assert (DEMO_MODEL / path.name).read_bytes() == path.read_bytes(), path.name


def test_the_weights_are_those_of_the_model_and_small(untrained: Path) -> None:
    assert (DEMO_MODEL / WEIGHTS).stat().st_size < MOST_BYTES
    with safe_open(DEMO_MODEL / WEIGHTS, "pt") as shipped, safe_open(untrained / WEIGHTS, "pt") as made:
        shapes = {name: shipped.get_slice(name).get_shape() for name in shipped.keys()}  # noqa: SIM118
        assert shapes == {name: made.get_slice(name).get_shape() for name in made.keys()}  # noqa: SIM118


def test_the_card_says_what_it_is() -> None:
    card = (DEMO_MODEL / CARD).read_text()
    assert all(part in card for part in ("What it can", "What it cannot", "How it was trained", "make truth"))
