"""Recognise a file's container by its first bytes, never by its name.

Only containers that hold the video themselves are recognised. Playlists and manifests (HLS, DASH, ffconcat, SDP, IMF)
are not: a decoder would open the files and addresses that they list.
"""

from __future__ import annotations

from enum import StrEnum

SNIFF_BYTES = 2048
"""The length of the head that `sniff_container` needs; a shorter file has less."""


class Container(StrEnum):
    """The containers that Longtake reads."""

    ISO_BMFF = "mp4"
    """MP4, MOV, 3GP."""
    MATROSKA = "matroska"
    """Matroska and WebM."""
    AVI = "avi"
    MPEG_TS = "mpegts"
    """Packets of 188 bytes, or of 192 bytes as in m2ts."""
    MPEG_PS = "mpegps"
    FLV = "flv"
    OGG = "ogg"


def media_type(head: bytes) -> str:
    """The media type of a file that begins with `head`; `application/octet-stream` for anything but a video."""
    container = sniff_container(head)
    if container is Container.MATROSKA and b"webm" in head:
        return "video/webm"
    return "application/octet-stream" if container is None else _MEDIA_TYPES[container]


_MEDIA_TYPES = {
    Container.ISO_BMFF: "video/mp4",
    Container.MATROSKA: "video/x-matroska",
    Container.AVI: "video/x-msvideo",
    Container.MPEG_TS: "video/mp2t",
    Container.MPEG_PS: "video/mpeg",
    Container.FLV: "video/x-flv",
    Container.OGG: "video/ogg",
}


def sniff_container(head: bytes) -> Container | None:
    """Recognise a container by `head`, a file's first `SNIFF_BYTES`. None for anything but a supported video."""
    if _could_be_manifest(head):
        return None
    if _is_iso_bmff(head):
        return Container.ISO_BMFF
    if head.startswith(b"\x1a\x45\xdf\xa3") and (b"matroska" in head or b"webm" in head):
        return Container.MATROSKA
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return Container.AVI
    if head.startswith(b"FLV\x01"):
        return Container.FLV
    if head.startswith(b"OggS\x00"):
        return Container.OGG
    if _is_mpeg_ps(head):
        return Container.MPEG_PS
    if _is_mpeg_ts(head):
        return Container.MPEG_TS
    return None


_MANIFEST_MARKERS = (b"<mpd", b"<compositionplaylist", b"#extm3u", b"ffconcat")


def _could_be_manifest(head: bytes) -> bool:
    # FFmpeg's DASH and IMF probes search for their marker anywhere before the first NUL, with the highest score. They
    # would open a file that starts as a container and continues as a manifest as that manifest. All containers here
    # have a NUL early on; text has none.
    text, nul, _ = head.partition(b"\0")
    return not nul or any(marker in text.lower() for marker in _MANIFEST_MARKERS)


_FIRST_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"})
_IMAGE_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"avif", b"avis"})


def _is_iso_bmff(head: bytes) -> bool:
    size = int.from_bytes(head[:4], "big")
    kind = head[4:8]
    if kind not in _FIRST_BOXES or 1 < size < 8:  # 0: up to the end of the file; 1: a 64-bit size follows
        return False
    return not (kind == b"ftyp" and head[8:12] in _IMAGE_BRANDS)


def _is_mpeg_ps(head: bytes) -> bool:
    if not head.startswith(b"\x00\x00\x01\xba") or len(head) < 5:
        return False
    return head[4] & 0xC4 == 0x44 or head[4] & 0xF1 == 0x21  # the marker bits of MPEG-2 and of MPEG-1


_MIN_PACKETS = 3


def _is_mpeg_ts(head: bytes) -> bool:
    packets, m2ts_packets = head[0::188], head[4::192]
    return any(len(sync_bytes) >= _MIN_PACKETS and set(sync_bytes) == {0x47} for sync_bytes in (packets, m2ts_packets))
