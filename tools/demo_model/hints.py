"""What the model should have made out at each step on its way to an answer: labels for its middle layers.

An answer has a label for each of its few tokens; a chunk of sixty pairs of frames gets some forty of them. The hints
label every pair of frames of a chunk, and every event of the notes to merge, with the four things that an answer is
made of, each after the layer that can first know it:

1. what is shown: colour and shape;
2. whether an event starts here: something else was shown before, or no earlier note tells it;
3. at what second the event that goes on here started;
4. at what second the event before it started. So the answer's next event is found by the second of its last one.

Linear heads read them off the residual stream. The heads stay behind in training; the checkpoint has none.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import nn
from torch.nn import functional

from tools.demo_model.checkpoint import END_OF_TEXT, IM_END
from tools.demo_model.scenes import COLOURS, SHAPES

HINT_LAYERS = {"content": 1, "start": 2, "scene": 3, "link": 4}
"""After which of the language model's layers each is read."""

NO_START, NOTHING_BEFORE = END_OF_TEXT, IM_END
"""Stand for the second of the event before, where no event starts and where the first one does."""


@dataclass(frozen=True)
class Hint:
    """About one place of an example."""

    place: int
    """Of the token by which all of it has been shown."""
    colour: str
    shape: str
    start_second: int | None
    """Of the event that starts here, without its tenth; None where none does."""


@dataclass(frozen=True, eq=False)
class Hints:
    """Those of a batch, N in all."""

    rows: torch.Tensor
    """(N,) which example."""
    places: torch.Tensor
    """(N,) which of its tokens."""
    colours: torch.Tensor
    """(N,) index in COLOURS."""
    shapes: torch.Tensor
    """(N,) index in SHAPES."""
    starts: torch.Tensor
    """(N,) 1.0 where an event starts."""
    scenes: torch.Tensor
    """(N,) the token that says the second at which the event that goes on here started, the last where it takes two."""
    links: torch.Tensor
    """(N,) so for the event before, where one starts here."""

    def to(self, device: str) -> Hints:
        return Hints(**{name: value.to(device) for name, value in vars(self).items()})


def as_hints(examples: Sequence[Sequence[Hint]], tokenizer: Tokenizer) -> Hints:
    """Those of a batch's examples, in the examples' order."""
    rows, scenes, links = [], [], []
    colours, shapes = list(COLOURS), list(SHAPES)
    for row, hints in enumerate(examples):
        scene = NOTHING_BEFORE
        for hint in hints:
            rows.append(row)
            links.append(tokenizer.token_to_id(NO_START if hint.start_second is None else scene))
            scene = scene if hint.start_second is None else _last_token_of(hint.start_second)
            scenes.append(tokenizer.token_to_id(scene))
    every = [hint for hints in examples for hint in hints]
    return Hints(
        torch.tensor(rows),
        torch.tensor([hint.place for hint in every]),
        torch.tensor([colours.index(hint.colour) for hint in every]),
        torch.tensor([shapes.index(hint.shape) for hint in every]),
        torch.tensor([float(hint.start_second is not None) for hint in every]),
        torch.tensor(scenes),
        torch.tensor(links),
    )


def _last_token_of(second: int) -> str:
    return str(second) if second < 1000 else f"{second % 1000:03}"


class HintHeads(nn.Module):
    """Reads the hints off the layers' outputs. It listens to `layers` from its making on."""

    def __init__(self, layers: nn.ModuleList, hidden_size: int, *, seed: int) -> None:
        super().__init__()
        self._seen: dict[str, torch.Tensor] = {}
        for name, index in HINT_LAYERS.items():
            layers[index].register_forward_hook(self._listener(name))
        sizes = {"content": len(COLOURS) + len(SHAPES), "start": 1, "scene": hidden_size, "link": hidden_size}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            read = {name: nn.Linear(hidden_size, size) for name, size in sizes.items()}
        self.heads = nn.ModuleDict({name: nn.Sequential(nn.RMSNorm(hidden_size), head) for name, head in read.items()})

    def _listener(self, name: str) -> Callable[[nn.Module, object, torch.Tensor], None]:
        def listen(_layer: nn.Module, _inputs: object, output: torch.Tensor) -> None:
            self._seen[name] = output

        return listen

    def forward(self, hints: Hints, embeddings: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The sum of the hints' mean losses, and (4,) the shares that are right, in the order of HINT_LAYERS.

        `embeddings` (vocabulary, hidden) are those of the tokens, by which a second is named.
        """
        read = {name: head(self._seen.pop(name)[hints.rows, hints.places]) for name, head in self.heads.items()}
        colour, shape = read["content"].float().split([len(COLOURS), len(SHAPES)], dim=1)
        start = read["start"].float().squeeze(1)
        scene, link = (functional.linear(read[name], embeddings).float() for name in ("scene", "link"))
        loss = (
            functional.cross_entropy(colour, hints.colours)
            + functional.cross_entropy(shape, hints.shapes)
            + functional.binary_cross_entropy_with_logits(start, hints.starts)
            + functional.cross_entropy(scene, hints.scenes)
            + functional.cross_entropy(link, hints.links)
        )
        right = [
            (colour.argmax(1) == hints.colours) & (shape.argmax(1) == hints.shapes),
            (start > 0) == (hints.starts > 0.5),
            scene.argmax(1) == hints.scenes,
            link.argmax(1) == hints.links,
        ]
        return loss, torch.stack([hits.float().mean() for hits in right])
