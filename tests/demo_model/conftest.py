"""What the demo model's tests share: its tokenizer, and footage that no encoder was needed for."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from tools.demo_model.checkpoint import make_tokenizer
from tools.demo_model.examples import ExampleMaker
from tools.demo_model.footage import FRAMES_PER_SCENE, SCENES_PER_REEL, Reel
from tools.demo_model.scenes import COLOURS, SHAPES

ReelMaker = Callable[..., Reel]


@pytest.fixture(scope="package", autouse=True)
def _one_thread() -> Iterator[None]:
    """Sums on one thread: their order, and so their last bit, depends on the number of threads.

    It is faster, too: threads that wait for each other spin, and other tests have the other core.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def tokenizer() -> Tokenizer:
    return make_tokenizer()


@pytest.fixture(scope="session")
def noise_reel() -> ReelMaker:
    """Makes reels of noise that call themselves scenes, no two of one content."""

    def made(seed: int = 0, *, height_px: int = 64, width_px: int = 128) -> Reel:
        rng = np.random.default_rng(seed)
        size = (SCENES_PER_REEL, FRAMES_PER_SCENE, height_px, width_px, 3)
        contents = [(colour, shape) for colour in COLOURS for shape in SHAPES]
        chosen = rng.permutation(len(contents))[:SCENES_PER_REEL]
        return Reel(rng.integers(0, 256, size, np.uint8), tuple(contents[i] for i in chosen))

    return made


@pytest.fixture(scope="session")
def maker(tokenizer: Tokenizer, noise_reel: ReelMaker) -> ExampleMaker:
    return ExampleMaker(tokenizer, [noise_reel()])
