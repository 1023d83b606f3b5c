"""Read an image's codec and size from its headers alone.

Images that readers interpret differently are refused. Sources: ITU-T T.81, annex B; CIPA DC-008 (Exif); PNG, third
edition.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal


class ImageRefused(Exception):
    """Its text continues a sentence that starts with the name of the image."""


@dataclass(frozen=True)
class ImageHeader:
    codec: str
    """FFmpeg's name."""
    width_px: int
    height_px: int


def image_header(content: bytes) -> ImageHeader:
    """The header of a JPEG or PNG. Raises ImageRefused for other images, and for kinds that are not supported."""
    if content.startswith(b"\xff\xd8\xff"):
        return _jpeg_header(content)
    if content.startswith(_PNG_SIGNATURE):
        return _png_header(content)
    raise ImageRefused("is not a JPEG or PNG image, judging by its first bytes")


_FRAME_HEADERS = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_HUFFMAN_FRAME_HEADERS = (0xC0, 0xC1, 0xC2)
"""Baseline, extended and progressive; the others are lossless, hierarchical or arithmetic-coded."""
_APP1, _START_OF_SCAN = 0xE1, 0xDA
_EXIF = b"Exif\0\0"


def _jpeg_header(content: bytes) -> ImageHeader:
    found: ImageHeader | None = None
    for marker, payload in _jpeg_segments(content):
        if marker == _START_OF_SCAN and found:
            return found
        if marker == _APP1 and payload.startswith(_EXIF):
            _check_upright(payload[len(_EXIF) :])
        if marker not in _FRAME_HEADERS:
            continue
        if marker not in _HUFFMAN_FRAME_HEADERS or payload[:1] != b"\x08":
            raise ImageRefused(
                "is a JPEG of a rare kind; send baseline or progressive JPEGs of 8 bits a sample, or PNGs"
            )
        if found:
            raise ImageRefused("is a JPEG with two headers; encode it again")
        size = int.from_bytes(payload[3:5], "big"), int.from_bytes(payload[1:3], "big")
        if len(payload) < 5 or 0 in size:
            raise ImageRefused("is a JPEG without a size; encode it again")
        found = ImageHeader("mjpeg", *size)
    raise ImageRefused("is a JPEG that is damaged, or cut off before its picture; encode it again")


def _jpeg_segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """(marker, payload) of each segment up to the first scan; ends early in a damaged file."""
    place = 2
    while place + 4 <= len(content) and content[place] == 0xFF:
        marker = content[place + 1]
        if marker == 0xFF:  # padding
            place += 1
            continue
        stop = place + 2 + int.from_bytes(content[place + 2 : place + 4], "big")
        if stop < place + 4 or stop > len(content):
            return
        yield marker, content[place + 4 : stop]
        if marker == _START_OF_SCAN:
            return
        place = stop


_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_COLOURS_WITH_ALPHA = (4, 6)


def _png_header(content: bytes) -> ImageHeader:
    chunks = _png_chunks(content)
    kind, header = next(chunks, (b"", b""))
    if kind != b"IHDR" or len(header) != 13:
        raise ImageRefused("is a PNG without a header; encode it again")
    width, height = int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")
    if not width or not height:
        raise ImageRefused("is a PNG without a size; encode it again")
    if header[8] > 8:
        raise ImageRefused(f"is a PNG of {header[8]} bits a sample; convert it to 8")
    is_transparent = header[9] in _PNG_COLOURS_WITH_ALPHA
    for kind, payload in chunks:
        is_transparent |= kind == b"tRNS"
        if kind == b"eXIf":
            _check_upright(payload)
    if is_transparent:
        raise ImageRefused("is a PNG with transparency and an unknown background; convert it to RGB")
    return ImageHeader("png", width, height)


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(type, payload) of each chunk; image data is left out, and a truncated chunk has what the file holds."""
    place = len(_PNG_SIGNATURE)
    while place + 8 <= len(content):
        start = place + 8
        stop = start + int.from_bytes(content[place : place + 4], "big")
        kind = content[place + 4 : start]
        yield kind, b"" if kind == b"IDAT" else content[start:stop]
        place = stop + 4  # behind the checksum


_ORIENTATION_TAG = 0x0112
_UPRIGHT = 1


def _check_upright(exif: bytes) -> None:
    """Refuse an image that Exif rotates: FFmpeg 8 and vLLM apply the rotation, FFmpeg 5 and fetch_video do not."""
    byte_orders: dict[bytes, Literal["little", "big"]] = {b"II": "little", b"MM": "big"}
    order = byte_orders.get(exif[:2])
    if order is None:
        return
    start = int.from_bytes(exif[4:8], order) + 2
    count = int.from_bytes(exif[start - 2 : start], order)
    for entry in (exif[place : place + 12] for place in range(start, min(start + 12 * count, len(exif)), 12)):
        orientation = int.from_bytes(entry[8:10], order)
        if int.from_bytes(entry[:2], order) == _ORIENTATION_TAG and orientation != _UPRIGHT:
            raise ImageRefused(
                f"is rotated by its Exif data (orientation {orientation}), which some readers apply and others "
                "ignore; rotate its pixels and remove the orientation"
            )
