"""Find the pictures that a decoder may skip: those that no other picture refers to.

The first bytes of a packet show it, without decoding. A packet that cannot be parsed counts as referred to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pipeline.decoding.av1_headers import Av1Headers

IsDisposable = Callable[[memoryview], bool]
"""Whether no later picture refers to the picture in a packet's bytes. Called for each packet fed, in order."""


def disposable_pictures(codec: str, extradata: bytes) -> IsDisposable:
    """A test for packets in the format of MP4 and Matroska. `codec` is FFmpeg's name, `extradata` the stream's."""
    match codec:
        case "h264" if len(extradata) > _AVCC_LENGTH_SIZE and extradata[0] == 1:
            length_bytes = (extradata[_AVCC_LENGTH_SIZE] & 3) + 1
            return lambda packet: _is_disposable_h264(packet, length_bytes)
        case "hevc" if len(extradata) > _HVCC_LAYERS and extradata[0] == 1:
            num_layers = extradata[_HVCC_LAYERS] >> 3 & 7
            length_bytes = (extradata[_HVCC_LAYERS] & 3) + 1
            if num_layers:  # 0: unknown
                return lambda packet: _is_disposable_hevc(packet, length_bytes, num_layers - 1)
        case "av1":
            return Av1Headers(extradata).is_disposable
    return lambda _: False


_AVCC_LENGTH_SIZE = 4
"""Place in avcC (ISO/IEC 14496-15) of the byte with the size of the lengths."""
_HVCC_LAYERS = 21
"""Place in hvcC of the byte with the number of temporal layers and the size of the lengths."""


def _nal_headers(packet: memoryview, length_bytes: int) -> Iterator[memoryview]:
    """The first two bytes of each unit."""
    place = 0
    while place + length_bytes < len(packet):
        size = int.from_bytes(packet[place : place + length_bytes], "big")
        place += length_bytes
        yield packet[place : place + 2]
        place += size


_H264_SLICES = range(1, 6)
_H264_BESIDE = (6, 9, 12)
"""Supplemental information, access unit delimiter, filler: unlike a parameter set, nothing later depends on them."""


def _is_disposable_h264(packet: memoryview, length_bytes: int) -> bool:
    """Whether all slices have nal_ref_idc 0 (ITU-T H.264, 7.4.1), and nothing else matters to later packets."""
    units = [(unit[0] & 31, unit[0] >> 5 & 3) for unit in _nal_headers(packet, length_bytes) if unit]
    others = [(kind, reference) for kind, reference in units if kind not in _H264_BESIDE]
    return bool(others) and all(kind in _H264_SLICES and reference == 0 for kind, reference in others)


_HEVC_NON_REFERENCE = range(0, 16, 2)
_HEVC_BESIDE = (35, 38, 39, 40)
"""Access unit delimiter, filler, and supplemental information before and after a picture."""


def _is_disposable_hevc(packet: memoryview, length_bytes: int, highest_layer: int) -> bool:
    """Whether all slices are of sub-layer non-reference pictures in the highest temporal layer (ITU-T H.265, 7.4.2.2),
    and nothing else matters to later packets.

    Higher layers may refer to such a picture in a lower layer.
    """
    units = [(unit[0] >> 1 & 63, (unit[1] & 7) - 1) for unit in _nal_headers(packet, length_bytes) if len(unit) > 1]
    others = [(kind, layer) for kind, layer in units if kind not in _HEVC_BESIDE]
    return bool(others) and all(kind in _HEVC_NON_REFERENCE and layer == highest_layer for kind, layer in others)
