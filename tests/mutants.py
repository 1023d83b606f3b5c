"""Damaged videos, always the same ones: cut off, with bits turned, with holes, and with numbers that lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

CUT_SHARES = (0.02, 0.3, 0.5, 0.7, 0.95)
NUM_FLIPPED, NUM_HOLED, NUM_LYING = 7, 5, 6
LIES = (0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x10000)
"""For lengths, counts and offsets."""
HEADER_BYTES = 3000
"""At both ends of a file, where containers keep their numbers."""

Mutate = Callable[[bytearray, np.random.Generator], None]


@dataclass(frozen=True)
class Mutant:
    name: str
    content: bytes


def mutants_of(name: str, content: bytes) -> Iterator[Mutant]:
    """23 of them, which follow from `name` and `content` alone."""
    for share in CUT_SHARES:
        yield Mutant(f"{name} cut at {share}", content[: int(len(content) * share)])
    kinds: tuple[tuple[str, Mutate, int], ...] = (
        ("flipped", _flip_bits, NUM_FLIPPED),
        ("holed", _make_a_hole, NUM_HOLED),
        ("lying", _lie, NUM_LYING),
    )
    for kind, mutate, count in kinds:
        for number in range(count):
            mutated = bytearray(content)
            mutate(mutated, np.random.default_rng([sum(name.encode()), number, len(kind)]))
            yield Mutant(f"{name} {kind} {number}", bytes(mutated))


def _flip_bits(content: bytearray, random: np.random.Generator) -> None:
    for place in random.integers(16, len(content), int(random.integers(1, 200))):
        content[place] ^= 1 << int(random.integers(8))


def _make_a_hole(content: bytearray, random: np.random.Generator) -> None:
    start = int(random.integers(16, len(content) - 1))
    stop = min(len(content), start + int(random.integers(1, len(content) // 4)))
    content[start:stop] = bytes(stop - start)


def _lie(content: bytearray, random: np.random.Generator) -> None:
    for _ in range(int(random.integers(1, 6))):
        place = int(random.integers(16, min(HEADER_BYTES, len(content)) - 4))
        if random.random() < 0.5:
            place = len(content) - place
        content[place : place + 4] = int(random.choice(LIES)).to_bytes(4, "big")
