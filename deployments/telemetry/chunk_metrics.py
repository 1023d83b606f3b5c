"""Metrics of chunks: outcomes, retries, frames, and the seconds of each stage."""

from ray.serve.metrics import Counter, Histogram

from deployments.telemetry.instruments import SECONDS, increase
from pipeline.types import ChunkAnswer, DecodeReport


class ChunkMetrics:
    """The chunks of all analyses of one Orchestrator replica."""

    def __init__(self, stage_seconds: Counter) -> None:
        self._stage_seconds = stage_seconds
        self._chunks = Counter("longtake_chunks_total", "Chunks that ended, by outcome.", ("outcome",))
        self._failures = Counter("longtake_chunk_failures_total", "Chunks without an answer, by reason.", ("type",))
        self._retries = Counter("longtake_chunk_retries_total", "Attempts at chunks after the first one.")
        self._degraded = Counter(
            "longtake_degraded_chunks_total", "Answered chunks with damaged pictures, or without some frames."
        )
        self._fallbacks = Counter(
            "longtake_decoder_fallbacks_total", "Chunks that the first decoder could not decode alone.", ("decoder",)
        )
        self._frames = Counter("longtake_frames_total", "Frames that the engine was shown.")
        self._missing = Counter("longtake_missing_frames_total", "Frames that were planned and could not be decoded.")
        self._chunk_seconds = Histogram(
            "longtake_chunk_seconds", "From a chunk's turn to its answer, failed attempts included.", SECONDS
        )
        self._decode_seconds = Histogram("longtake_decode_seconds", "Decoding a chunk.", SECONDS)
        self._queue_seconds = Histogram(
            "longtake_queue_seconds", "A chunk's time outside of decoder and engine: waiting, moving.", SECONDS
        )
        self._inference_seconds = Histogram("longtake_inference_seconds", "The engine's answer to a chunk.", SECONDS)

    def count(self, answer: ChunkAnswer) -> None:
        if answer.is_reused:
            self._chunks.inc(tags={"outcome": "reused"})
            return
        self._chunks.inc(tags={"outcome": "answered" if answer.text else "failed"})
        self._chunk_seconds.observe(answer.processing_seconds)
        increase(self._retries, answer.attempts - 1)
        if answer.failure:
            self._failures.inc(tags={"type": answer.failure.type})
        if answer.text:
            seconds = answer.text.generation.inference_seconds
            self._queue_seconds.observe(answer.queue_seconds)
            self._inference_seconds.observe(seconds)
            increase(self._stage_seconds, answer.queue_seconds, {"stage": "queue"})
            increase(self._stage_seconds, seconds, {"stage": "inference"})
            self._count_decoding(answer.text.decode)

    def _count_decoding(self, report: DecodeReport) -> None:
        increase(self._frames, report.num_frames)
        increase(self._missing, len(report.missing_pts_seconds))
        if report.is_damaged or report.missing_pts_seconds:
            self._degraded.inc()
        if report.is_reused:
            return
        self._decode_seconds.observe(report.decode_seconds)
        increase(self._stage_seconds, report.decode_seconds, {"stage": "decode"})
        if report.fallback_reason is not None:
            self._fallbacks.inc(tags={"decoder": report.backend})
