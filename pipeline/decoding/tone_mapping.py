"""Tone-map HDR pictures to SDR: convert their light to BT.709's colours, and compress what is brighter than SDR white.

libswscale's own tone mapping (`scale` with an `intent`) is less exact. Ten colours, encoded in PQ and HLG with white at
203 nits, came back with these errors, of 255:

    unmapped 38 and 23, `perceptual` 37 and 27, `relative_colorimetric` 3 and 5, this module 6 and 9

`perceptual` assumes a mastering screen of 10,000 nits for PQ without metadata, and darkens everything;
`relative_colorimetric` clips what is brighter than white, which this module compresses. Either takes 2 to 4 CPU seconds
for a table.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pipeline.types import HdrTransfer

_SDR_WHITE_NITS = 203.0
"""The light in HDR that corresponds to SDR white (BT.2408)."""
_PEAK_NITS = 1000.0
"""This light and everything brighter becomes white: HLG's nominal peak, and that of most screens on which PQ is graded.
It is fixed: a peak that followed the pictures would make the same object look different in each."""
_PEAK = _PEAK_NITS / _SDR_WHITE_NITS
_KNEE = 0.5
"""Light up to this share of SDR white is unchanged; it is 191 of 255."""
_SDR_GAMMA = 2.4
"""The gamma of an SDR screen (BT.1886)."""
_BT709_OF_BT2020 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
"""From BT.2087. HDR with other primaries than BT.2020's is rare, and treated as BT.2020."""
_BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593], np.float32)
_HLG_SYSTEM_GAMMA = 1.2
"""The system gamma of a screen of 1000 nits (BT.2100)."""
_TABLE_BITS = 12
"""Bits used of a source's 16-bit numbers; HDR video has 10 or 12."""
_PIXELS_AT_A_TIME = 16384
"""Keeps temporaries in the cache, which is about ten times as fast as a whole picture at once."""


def tone_mapped(rgb: NDArray[np.uint16], transfer: HdrTransfer) -> NDArray[np.uint8]:
    """Convert (H, W, 3) RGB of BT.2020 to BT.709."""
    pixels = rgb.reshape(-1, 3)
    mapped = np.empty(pixels.shape, np.uint8)
    for start in range(0, len(pixels), _PIXELS_AT_A_TIME):
        part = slice(start, start + _PIXELS_AT_A_TIME)
        light = _LIGHT[transfer](pixels[part]) @ _BT709_OF_BT2020.T
        mapped[part] = _sdr_numbers(_compressed(np.maximum(light, 0.0, out=light)))
    return mapped.reshape(rgb.shape)


def _compressed(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compress (N, 3) light, in multiples of SDR white, to at most 1. The largest of the three is compressed and the
    others keep their ratio to it, so that no hue changes.
    """
    red, green, blue = light.T  # a maximum along such a short axis takes four times as long
    largest = np.minimum(np.maximum(np.maximum(red, green), blue), _PEAK)
    # A hyperbola from the knee, where its slope is 1, to the peak, where it is 1: `mobius` of FFmpeg's tonemap filter.
    a = -(_KNEE**2) * (_PEAK - 1) / (_KNEE**2 - 2 * _KNEE + _PEAK)
    b = (_KNEE**2 - 2 * _KNEE * _PEAK + _PEAK) / (_PEAK - 1)
    scale = (b**2 + 2 * b * _KNEE + _KNEE**2) / (b - a)
    factor = np.where(largest > _KNEE, scale * (largest + a) / (largest + b) / np.maximum(largest, _KNEE), 1.0)
    light *= factor[:, None]
    return np.minimum(light, 1.0, out=light)


def _sdr_numbers(light: NDArray[np.float32]) -> NDArray[np.uint8]:
    table = _sdr_table()
    light *= len(table) - 1
    return table.take(light.astype(np.uint16))


@cache
def _sdr_table() -> NDArray[np.uint8]:
    """(65536,) numbers for light from 0 to 1; a smaller table would skip the darkest numbers."""
    return np.round(np.linspace(0, 1, 1 << 16) ** (1 / _SDR_GAMMA) * 255).astype(np.uint8)


def _pq_light(pixels: NDArray[np.uint16]) -> NDArray[np.float32]:
    return _pq_table().take(pixels >> 16 - _TABLE_BITS)


def _hlg_light(pixels: NDArray[np.uint16]) -> NDArray[np.float32]:
    scene = _hlg_table().take(pixels >> 16 - _TABLE_BITS)
    # A screen scales the whole pixel by its luma.
    scene *= _PEAK * (scene @ _BT2020_LUMA)[:, None] ** np.float32(_HLG_SYSTEM_GAMMA - 1)
    return scene


_LIGHT: dict[HdrTransfer, Callable[[NDArray[np.uint16]], NDArray[np.float32]]] = {
    HdrTransfer.PQ: _pq_light,
    HdrTransfer.HLG: _hlg_light,
}
"""Convert (N, 3) numbers to the light of a screen, in multiples of SDR white."""


@cache
def _pq_table() -> NDArray[np.float32]:
    """The EOTF of SMPTE ST 2084, over all numbers of `_TABLE_BITS`."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = np.linspace(0, 1, 1 << _TABLE_BITS) ** (1 / m2)
    nits = 10_000 * (np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1)
    return (nits / _SDR_WHITE_NITS).astype(np.float32)


@cache
def _hlg_table() -> NDArray[np.float32]:
    """The inverse of BT.2100's OETF, over all numbers of `_TABLE_BITS`: scene light from 0 to 1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    numbers = np.linspace(0, 1, 1 << _TABLE_BITS)
    return np.where(numbers <= 0.5, numbers**2 / 3, (np.exp((numbers - c) / a) + b) / 12).astype(np.float32)
