"""From a chunk of the plan to its frames: one protocol, a file per backend."""

from pathlib import Path

from pipeline.decoding.frame_decoder import ChunkDecoder, FrameDecoder
from pipeline.decoding.pyav_decoder import PyavFrameDecoder
from pipeline.decoding.torchcodec_decoder import TorchcodecFrameDecoder

__all__ = ["ChunkDecoder", "FrameDecoder", "PyavFrameDecoder", "TorchcodecFrameDecoder", "default_chunk_decoder"]


def default_chunk_decoder(path: Path) -> ChunkDecoder:
    """Exact frames by torchcodec; what it cannot decode, by the tolerant PyAV."""
    return ChunkDecoder(path, (TorchcodecFrameDecoder, PyavFrameDecoder))
