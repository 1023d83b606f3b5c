"""Cache of decoded chunks, for further questions about the same frames."""

from collections.abc import Hashable
from dataclasses import dataclass

from cachetools import LRUCache
from ray.serve.handle import DeploymentResponse

from deployments.telemetry.decoding_metrics import FrameStoreMetrics
from pipeline.types import Chunk, VideoInfo

ChunkKey = Hashable


def chunk_key(video: VideoInfo, chunk: Chunk, cache_salt: str | None) -> ChunkKey:
    """Return a key that is the same for the same frames at the same size, whatever the question."""
    return video.fingerprint, chunk.height_px, chunk.width_px, chunk.pts_seconds.tobytes(), cache_salt


@dataclass(frozen=True)
class _Decoded:
    response: DeploymentResponse
    num_bytes: int


class DecodedChunks:
    """References to the decoded chunks used last, up to a number of bytes.

    The frames themselves lie in the object store of the node that decoded them, for as long as they are referenced.
    """

    def __init__(self, capacity_bytes: int, metrics: FrameStoreMetrics) -> None:
        self._decoded: LRUCache[ChunkKey, _Decoded] = LRUCache(capacity_bytes, getsizeof=lambda one: one.num_bytes)
        self._metrics = metrics

    @property
    def capacity_bytes(self) -> int:
        return int(self._decoded.maxsize)

    def get(self, key: ChunkKey) -> DeploymentResponse | None:
        """Return FrameDecoder's response, or None if the chunk has to be decoded."""
        decoded = self._decoded.get(key)
        self._metrics.count_lookup(is_hit=decoded is not None)
        return decoded.response if decoded else None

    def put(self, key: ChunkKey, response: DeploymentResponse, num_bytes: int) -> None:
        """Keep a response that has arrived, unless it alone exceeds the capacity."""
        self._decoded.pop(key, None)
        if num_bytes <= self.capacity_bytes:
            self._decoded[key] = _Decoded(response, num_bytes)
        self._metrics.set_kept(int(self._decoded.currsize))

    def drop(self, key: ChunkKey) -> None:
        """Forget a response, for example because its node is gone."""
        self._decoded.pop(key, None)
        self._metrics.set_kept(int(self._decoded.currsize))
