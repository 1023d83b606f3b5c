"""Chunks that were decoded before, for the next question about the same frames."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from ray.serve.handle import DeploymentResponse

from deployments.telemetry.metrics import FrameStoreMetrics
from pipeline.types import Chunk, VideoInfo

ChunkKey = Hashable


def chunk_key(video: VideoInfo, chunk: Chunk, cache_salt: str | None) -> ChunkKey:
    """The same for the same frames at the same size, whatever is asked about them."""
    return video.fingerprint, chunk.height_px, chunk.width_px, chunk.pts_seconds.tobytes(), cache_salt


@dataclass(frozen=True)
class _Kept:
    response: DeploymentResponse
    num_bytes: int


class DecodedChunks:
    """References to decoded chunks, those used last, up to a number of bytes.

    What it holds lies in the object store of the node that decoded it, and stays there for as long as it is held.
    """

    def __init__(self, capacity_bytes: int, metrics: FrameStoreMetrics) -> None:
        self.capacity_bytes = capacity_bytes
        self._kept: OrderedDict[ChunkKey, _Kept] = OrderedDict()
        self._kept_bytes = 0
        self._metrics = metrics

    def get(self, key: ChunkKey) -> DeploymentResponse | None:
        """What FrameDecoder gave for it; None where it has to be decoded."""
        kept = self._kept.get(key)
        self._metrics.asked(is_kept=kept is not None)
        if kept is None:
            return None
        self._kept.move_to_end(key)
        return kept.response

    def put(self, key: ChunkKey, response: DeploymentResponse, num_bytes: int) -> None:
        """Keeps a response that has arrived, unless it takes more than all there is room for."""
        self.drop(key)
        if num_bytes > self.capacity_bytes:
            return
        self._kept[key] = _Kept(response, num_bytes)
        self._kept_bytes += num_bytes
        while self._kept_bytes > self.capacity_bytes:
            self._kept_bytes -= self._kept.popitem(last=False)[1].num_bytes
        self._metrics.kept(self._kept_bytes)

    def drop(self, key: ChunkKey) -> None:
        """Where what was kept is gone with its node, or is replaced."""
        if key in self._kept:
            self._kept_bytes -= self._kept.pop(key).num_bytes
            self._metrics.kept(self._kept_bytes)
