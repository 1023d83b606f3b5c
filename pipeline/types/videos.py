"""Properties of a video."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class HdrTransfer(StrEnum):
    """The transfer function of an HDR picture (BT.2100)."""

    PQ = "PQ"
    HLG = "HLG"


@dataclass(frozen=True)
class VideoInfo:
    """Metadata from a video's packets and its first picture."""

    width: int
    """Pixels, as shown: a rotation in the file is already applied."""
    height: int
    fps: float
    """Average over the whole video."""
    duration_seconds: float
    total_frames: int
    codec: str
    """FFmpeg's name, such as `h264`."""
    container: str
    """FFmpeg's name of the demuxer, such as `mov,mp4,m4a,3gp,3g2,mj2`."""
    size_bytes: int
    fingerprint: str
    """Identifies the bytes: a decoder that finds another fingerprint raises SourceChanged."""
    is_variable_frame_rate: bool
    clock_offset_seconds: float
    """The container's own time of the first frame, which is time 0 here."""
    hdr_transfer: HdrTransfer | None = None
    """From the first picture; None for SDR."""
    is_interlaced: bool = False
    """Whether the first picture or the stream is flagged as interlaced. The pictures themselves are not analysed."""


@dataclass(frozen=True)
class PictureTreatment:
    """How to convert a video's pictures to progressive SDR, which the model was trained on."""

    tone_mapped_from: HdrTransfer | None = None
    is_deinterlaced: bool = False

    def __bool__(self) -> bool:
        return self.tone_mapped_from is not None or self.is_deinterlaced


NO_TREATMENT = PictureTreatment()
