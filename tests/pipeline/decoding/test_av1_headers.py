"""AV1 frame headers, written bit by bit: what a frame refreshes, and what cannot be told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.decoding.av1_headers import Av1Headers

SEQUENCE, FRAME_HEADER, TILE_GROUP, FRAME = 1, 3, 4, 6
KEY, INTER, INTRA_ONLY, SWITCH = 0, 1, 2, 3
AV1C_HEADER = bytes([0x81, 0, 0, 0])


def bits(*fields: tuple[int, int]) -> bytes:
    """Packs (value, width) pairs, the highest bit first."""
    text = "".join(f"{value:0{width}b}" for value, width in fields if width)
    text += "0" * (-len(text) % 8)
    return int(text, 2).to_bytes(len(text) // 8, "big")


def unit(kind: int, payload: bytes) -> bytes:
    """An OBU with its size, which may take two bytes."""
    size = bytes([len(payload)]) if len(payload) < 128 else bytes([len(payload) & 127 | 128, len(payload) >> 7])
    return bytes([kind << 3 | 2]) + size + payload


def sequence(*, frame_id: bool = False, order_hint_bits: int = 7, is_reduced: bool = False) -> bytes:
    """A sequence header without timing, screen content tools or motion vectors in whole pixels."""
    if is_reduced:
        return unit(SEQUENCE, bits((0, 3), (1, 1), (1, 1)))
    return unit(
        SEQUENCE,
        bits(
            (0, 3), (0, 1), (0, 1),  # profile, still picture, reduced header
            (0, 1), (0, 1), (0, 5),  # timing, initial delay, operating points
            (0, 12), (4, 5),  # the one operating point, with a level that has no tier
            (7, 4), (7, 4), (191, 8), (127, 8),  # widths of the size, and the size
            (int(frame_id), 1), *([(0, 4), (0, 3)] if frame_id else []),
            (0, 3), (0, 4), (1, 1), (0, 2),  # superblocks and filters, compound modes, order hints
            (0, 1), (0, 1),  # screen content tools: none
            (order_hint_bits - 1, 3),
        ),
    )  # fmt: skip


def frame(
    refresh: int,
    *,
    kind: int = INTER,
    is_shown: bool = True,
    shows_existing: bool = False,
    id_bits: int = 0,
    order_hint_bits: int = 7,
) -> bytes:
    error_resilient = 0
    primary_reference = [] if kind == INTRA_ONLY else [(7, 3)]
    return unit(
        FRAME,
        bits(
            (int(shows_existing), 1), (kind, 2), (int(is_shown), 1), (error_resilient, 1), (0, 1),
            (0, id_bits), (0, 1), (0, order_hint_bits), *primary_reference, (refresh, 8),
        )
        + bytes(4),
    )  # fmt: skip


def is_disposable(packet: bytes, extradata: bytes = AV1C_HEADER + sequence()) -> bool:
    return Av1Headers(extradata).is_disposable(memoryview(packet))


@pytest.mark.parametrize("refresh", [0, 1, 0b10000000, 255])
@pytest.mark.parametrize("kind", [INTER, INTRA_ONLY])
def test_a_frame_that_refreshes_no_reference_is_disposable(refresh: int, kind: int) -> None:
    assert is_disposable(frame(refresh, kind=kind)) == (refresh == 0)


@pytest.mark.parametrize(
    "packet",
    [
        frame(0, kind=KEY),
        frame(0, kind=SWITCH),
        frame(0, is_shown=False),  # it is shown later, by its number
        frame(0, shows_existing=True),
        frame(0) + frame(4),
        b"",
        unit(TILE_GROUP, bytes(8)),
    ],
    ids=["key", "switch", "hidden", "shown again", "a second one refreshes", "empty", "no header"],
)
def test_a_packet_that_may_be_referred_to_is_kept(packet: bytes) -> None:
    assert not is_disposable(packet)


def test_all_frames_of_a_packet_have_to_be_disposable() -> None:
    assert is_disposable(frame(0) + unit(TILE_GROUP, bytes(200)) + frame(0))


def test_the_sequence_says_where_the_field_stands() -> None:
    numbered = AV1C_HEADER + sequence(frame_id=True)
    assert is_disposable(frame(0, id_bits=3), numbered)
    assert not is_disposable(frame(1, id_bits=3), numbered)
    short = AV1C_HEADER + sequence(order_hint_bits=3)
    assert is_disposable(frame(0, order_hint_bits=3), short)
    assert not is_disposable(frame(1, order_hint_bits=3), short)


def test_a_sequence_header_in_a_packet_replaces_the_one_before() -> None:
    headers = Av1Headers(AV1C_HEADER + sequence(frame_id=True))
    assert headers.is_disposable(memoryview(sequence() + frame(0)))
    assert not headers.is_disposable(memoryview(frame(1)))


def test_without_a_sequence_header_every_frame_is_kept() -> None:
    assert not is_disposable(frame(0), b"")
    assert not is_disposable(frame(0), AV1C_HEADER + sequence(is_reduced=True))


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_no_bytes_raise(extradata: bytes, packet: bytes) -> None:
    assert Av1Headers(extradata).is_disposable(memoryview(packet)) in (True, False)


def test_a_header_that_is_cut_off_is_kept() -> None:
    whole = frame(0)
    for length in range(2, 5):
        assert not is_disposable(whole[:length])
