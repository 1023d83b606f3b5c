"""Parse AV1 frame headers up to the references that a frame replaces.

Source: AV1 Bitstream & Decoding Process Specification, 5.3 (OBU syntax), 5.5 (sequence header), 5.9 (frame header).
"""

from __future__ import annotations

from collections.abc import Iterator

_SEQUENCE_HEADER, _FRAME_HEADER, _FRAME = 1, 3, 6
_KEY_FRAME, _INTRA_ONLY_FRAME, _SWITCH_FRAME = 0, 2, 3
_SELECT = 2
"""Each frame decides whether it uses the tool."""
_AV1C_HEADER_BYTES = 4


class Av1Headers:
    """The headers of one stream. A frame's header can only be parsed with its sequence's."""

    def __init__(self, extradata: bytes) -> None:
        self._sequence: _Sequence | None = None
        self.is_disposable(memoryview(extradata[_AV1C_HEADER_BYTES:]))

    def is_disposable(self, packet: memoryview) -> bool:
        """Whether the packet holds frames, and no later frame refers to any of them."""
        refreshes = []
        try:
            for kind, payload in _units(packet):
                if kind == _SEQUENCE_HEADER:
                    self._sequence = _Sequence(_Bits(payload))
                elif kind in (_FRAME_HEADER, _FRAME):
                    refreshes.append(self._sequence is None or self._sequence.refreshes(_Bits(payload)))
        except IndexError:
            return False
        return bool(refreshes) and not any(refreshes)


class _Bits:
    """Reads bits, the most significant first. Raises IndexError past the end."""

    def __init__(self, data: memoryview) -> None:
        self._data, self._place = data, 0

    def read(self, count: int) -> int:
        value = 0
        for _ in range(count):
            value = value << 1 | self._data[self._place >> 3] >> (7 - (self._place & 7)) & 1
            self._place += 1
        return value

    def skip(self, count: int) -> None:
        self._place += count

    def read_uvlc(self) -> int:
        zeros = 0
        while not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)


def _units(packet: memoryview) -> Iterator[tuple[int, memoryview]]:
    """(type, payload) of each OBU."""
    place = 0
    while place < len(packet):
        header = packet[place]
        has_extension, has_size = header & 4, header & 2
        place += 2 if has_extension else 1
        size = len(packet) - place
        if has_size:
            size, place = _leb128(packet, place)
        yield header >> 3 & 15, packet[place : place + size]
        place += size


def _leb128(data: memoryview, place: int) -> tuple[int, int]:
    """The number at `place`, and the place after it."""
    value = shift = 0
    while data[place] & 128:
        value |= (data[place] & 127) << shift
        shift += 7
        place += 1
    return value | data[place] << shift, place + 1


class _Sequence:
    """The fields of a sequence header that its frames' headers depend on."""

    def __init__(self, bits: _Bits) -> None:
        self._has_decoder_model = self._has_equal_intervals = False
        self._presentation_time_bits = self._frame_id_bits = self._order_hint_bits = 0
        self._screen_content_tools = self._integer_mv = _SELECT
        bits.skip(4)  # seq_profile, still_picture
        self._is_reduced = bool(bits.read(1))
        if not self._is_reduced:
            self._read_timing(bits)
            self._read_tools(bits)

    def _read_timing(self, bits: _Bits) -> None:
        delay_bits = 0
        if bits.read(1):  # timing_info_present_flag
            bits.skip(64)
            self._has_equal_intervals = bool(bits.read(1))
            if self._has_equal_intervals:
                bits.read_uvlc()
            self._has_decoder_model = bool(bits.read(1))
            if self._has_decoder_model:
                delay_bits = bits.read(5) + 1
                bits.skip(32 + 5)
                self._presentation_time_bits = bits.read(5) + 1
        has_initial_delay = bits.read(1)
        for _ in range(bits.read(5) + 1):  # operating points
            bits.skip(12)
            if bits.read(5) > 7:  # seq_level_idx
                bits.skip(1)
            if self._has_decoder_model and bits.read(1):
                bits.skip(2 * delay_bits + 1)
            if has_initial_delay and bits.read(1):
                bits.skip(4)

    def _read_tools(self, bits: _Bits) -> None:
        width_bits, height_bits = bits.read(4) + 1, bits.read(4) + 1
        bits.skip(width_bits + height_bits)
        if bits.read(1):  # frame_id_numbers_present_flag
            delta_bits = bits.read(4) + 2
            self._frame_id_bits = bits.read(3) + delta_bits + 1
        bits.skip(3 + 4)  # superblocks, filters, compound modes
        has_order_hint = bits.read(1)
        if has_order_hint:
            bits.skip(2)
        if not bits.read(1):  # seq_choose_screen_content_tools
            self._screen_content_tools = bits.read(1)
        if self._screen_content_tools and not bits.read(1):  # seq_choose_integer_mv
            self._integer_mv = bits.read(1)
        if has_order_hint:
            self._order_hint_bits = bits.read(3) + 1

    def refreshes(self, bits: _Bits) -> bool:
        """Whether a later frame refers, or may refer, to the frame with this header."""
        if self._is_reduced or bits.read(1):  # show_existing_frame: for a key frame it would refresh all
            return True
        frame_type, is_shown = bits.read(2), bits.read(1)
        if not is_shown or frame_type in (_SWITCH_FRAME, _KEY_FRAME):
            return True
        if self._has_decoder_model and not self._has_equal_intervals:
            bits.skip(self._presentation_time_bits)
        is_error_resilient = bits.read(1)
        bits.skip(1)  # disable_cdf_update
        screen_tools = bits.read(1) if self._screen_content_tools == _SELECT else self._screen_content_tools
        if screen_tools and self._integer_mv == _SELECT:
            bits.skip(1)
        bits.skip(self._frame_id_bits + 1 + self._order_hint_bits)  # frame_size_override_flag is the one bit
        if frame_type != _INTRA_ONLY_FRAME and not is_error_resilient:
            bits.skip(3)  # primary_ref_frame
        if self._has_decoder_model and bits.read(1):
            return True  # buffer removal times, in layered streams
        return bits.read(8) != 0  # refresh_frame_flags
