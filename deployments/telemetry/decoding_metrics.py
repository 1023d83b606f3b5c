"""Metrics of reading videos, decoding them, and holding decoded frames."""

from collections.abc import Iterator
from contextlib import contextmanager

from ray.serve.metrics import Counter, Histogram

from deployments.serving.ray_errors import error_type, is_cancellation
from deployments.telemetry.instruments import SECONDS, PersistentGauge, increase
from pipeline.types import DecodeReport


class FrameStoreMetrics:
    """The decoded frames that one Orchestrator replica holds in the object store."""

    def __init__(self, in_flight_limit_bytes: int, kept_limit_bytes: int) -> None:
        self._limit = PersistentGauge("longtake_frames_limit_bytes", "Room for decoded frames, by use.", ("use",))
        self._limit.set(in_flight_limit_bytes, tags={"use": "in_flight"})
        self._limit.set(kept_limit_bytes, tags={"use": "kept"})
        self._bytes = PersistentGauge("longtake_frames_bytes", "Bytes of decoded frames, by use.", ("use",))
        self._hits = Counter("longtake_frame_cache_hits_total", "Chunks whose frames were still in the object store.")
        self._misses = Counter("longtake_frame_cache_misses_total", "Chunks that had to be decoded.")

    def set_in_flight(self, num_bytes: int) -> None:
        self._bytes.set(num_bytes, tags={"use": "in_flight"})

    def set_kept(self, num_bytes: int) -> None:
        self._bytes.set(num_bytes, tags={"use": "kept"})

    def count_lookup(self, *, is_hit: bool) -> None:
        (self._hits if is_hit else self._misses).inc()


class SourceMetrics:
    """A replica that reads videos."""

    def __init__(self) -> None:
        self._fetched_bytes = Counter(
            "longtake_source_fetched_bytes_total", "Bytes fetched of remote videos, by source.", ("source",)
        )

    def count_fetched(self, source: str, num_bytes: int) -> None:
        increase(self._fetched_bytes, num_bytes, {"source": source})


class DecoderMetrics:
    """One FrameDecoder replica."""

    def __init__(self) -> None:
        self._backend_seconds = Histogram(
            "longtake_decoder_seconds", "Decoding a chunk, by the decoders that decoded it.", SECONDS, ("decoder",)
        )
        self._workers_lost = Counter(
            "longtake_decoder_workers_lost_total", "Decoding processes that crashed, or had to be stopped."
        )
        self._failures = Counter("longtake_decoder_failures_total", "Chunks that no decoder could decode.", ("type",))
        self._num_lost = 0

    @contextmanager
    def counting_failures(self) -> Iterator[None]:
        """Count an error that leaves the block, unless it is a cancellation."""
        try:
            yield
        except Exception as error:
            if not is_cancellation(error):
                self._failures.inc(tags={"type": error_type(error)})
            raise

    def count(self, report: DecodeReport) -> None:
        self._backend_seconds.observe(report.decode_seconds, tags={"decoder": report.backend})

    def count_lost_workers(self, num_so_far: int) -> None:
        """`num_so_far` is the total since this replica started."""
        increase(self._workers_lost, num_so_far - self._num_lost)
        self._num_lost = num_so_far
