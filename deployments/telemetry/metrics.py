"""What Longtake counts and measures, at Ray's Prometheus endpoint under `ray_` and these names.

Ray adds the deployment and the replica to each. Other labels have few values, all of them Longtake's own: never an id,
a URL or what a client wrote. Times are in seconds, sizes in bytes; counters end in `_total`.
"""

import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from ray.serve.metrics import Counter, Gauge, Histogram

from deployments.serving.ray_errors import error_type, is_cancellation
from pipeline.analysis import AnalysisDone, AnalysisEvent, AnswerDelta, ChunkDone, Progress
from pipeline.errors import EngineBusy, InvalidRequest, SourceError, VideoError
from pipeline.types import ChunkAnswer, DecodeReport

SECONDS = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0]
"""Of a stage of one chunk."""
LONG_SECONDS = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 2500.0, 5000.0]
"""Of a whole analysis: hours of video take as long as minutes of them do chunks."""

REPUBLISH_SECONDS = 1.0
"""The shortest interval at which Ray's processes report."""

COMPLETED, PARTIAL, REJECTED, REFUSED, CANCELLED, FAILED = OUTCOMES = (
    "completed",
    "partial",
    "rejected",
    "refused",
    "cancelled",
    "failed",
)
"""Of an analysis: whole; without some chunk, or without the merged answer; not begun because of the request or its
video, or for want of room; given up by the client; ended by an error of this server, or without any chunk's answer."""


class PersistentGauge:
    """A gauge that goes on saying what it was told last.

    Ray's own is gone from the endpoint two reports after it was set (20 s by default), as if its process had died.
    """

    def __init__(self, name: str, description: str, tag_keys: tuple[str, ...] = ()) -> None:
        self._gauge = Gauge(name, description, tag_keys)
        self._values: dict[frozenset[tuple[str, str]], float] = {}
        _standing.add(self)
        _telling_again()

    def set(self, value: float, tags: dict[str, str] | None = None) -> None:
        self._values[frozenset((tags or {}).items())] = value
        self._gauge.set(value, tags=tags)

    def republish(self) -> None:
        for tags, value in list(self._values.items()):
            self._gauge.set(value, tags=dict(tags))


_standing: weakref.WeakSet[PersistentGauge] = weakref.WeakSet()


@cache
def _telling_again() -> threading.Thread:
    """One thread in each process that has such gauges."""

    def tell_all() -> None:
        while True:
            time.sleep(REPUBLISH_SECONDS)
            for gauge in list(_standing):
                gauge.republish()

    thread = threading.Thread(target=tell_all, name="gauges", daemon=True)
    thread.start()
    return thread


class AnalysisMetrics:
    """Of one Orchestrator replica."""

    def __init__(self) -> None:
        self._stage_seconds = Counter(
            # Ray's histograms know of an observation only its bucket: their sums are of the buckets' middles.
            "longtake_stage_seconds_total",
            "Spent in each stage, by all chunks and merges together.",
            ("stage",),
        )
        self._num_under_way = 0
        self._under_way = PersistentGauge("longtake_analyses_under_way", "Analyses that were begun and have not ended.")
        self._analyses = Counter("longtake_analyses_total", "Analyses that have ended.", ("outcome",))
        self._seconds = Histogram(
            "longtake_analysis_seconds", "From the call to the end of an analysis.", LONG_SECONDS, ("outcome",)
        )
        self._first_chunk_seconds = Histogram(
            "longtake_time_to_first_chunk_seconds", "Until the first chunk of an analysis was answered.", LONG_SECONDS
        )
        self._first_token_seconds = Histogram(
            "longtake_time_to_first_token_seconds", "Until the answer to the whole analysis began.", LONG_SECONDS
        )
        self._merge_seconds = Histogram(
            "longtake_merge_seconds", "Merging the chunk answers of an analysis.", LONG_SECONDS
        )
        self._prompt_tokens = Counter("longtake_prompt_tokens_total", "Tokens of prompts, those of frames included.")
        self._cached_tokens = Counter(
            "longtake_cached_prompt_tokens_total", "Tokens of prompts that the engine still had from prompts before."
        )
        self._completion_tokens = Counter("longtake_completion_tokens_total", "Tokens that were generated.")
        self._chunks = _ChunkMetrics(self._stage_seconds)

    def tally(self) -> "AnalysisTally":
        """For an analysis that begins."""
        return AnalysisTally(self)

    def _moved(self, by: int) -> None:
        self._num_under_way += by
        self._under_way.set(self._num_under_way)


class AnalysisTally:
    """One analysis under way, told of its events."""

    def __init__(self, metrics: AnalysisMetrics) -> None:
        self.outcome = FAILED
        self.error_type = ""
        """Empty where it did not end with an error."""
        self._metrics = metrics
        self._started = time.perf_counter()
        self._merge_started: float | None = None
        self._has_chunk = self._has_token = False

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._started

    @contextmanager
    def counting(self) -> Iterator[None]:
        """The analysis ends with the block."""
        metrics = self._metrics
        metrics._moved(1)
        try:
            yield
        except BaseException as error:
            self.outcome, self.error_type = _outcome_of(error), "" if is_cancellation(error) else error_type(error)
            raise
        finally:
            metrics._moved(-1)
            tags = {"outcome": self.outcome}
            metrics._analyses.inc(tags=tags)
            metrics._seconds.observe(self.seconds, tags=tags)

    def count(self, event: AnalysisEvent) -> None:
        match event:
            case ChunkDone(answer, is_recalled):
                if not is_recalled:  # else it was counted when it was given
                    self._metrics._chunks.count(answer)
                if not self._has_chunk:
                    self._metrics._first_chunk_seconds.observe(self.seconds)
                self._has_chunk = True
            case Progress(merging=True):
                self._merge_started = self.seconds
            case AnswerDelta():
                self._count_first_token()
            case AnalysisDone():
                self._count_end(event)
            case _:
                pass

    def _count_first_token(self) -> None:
        if not self._has_token:
            self._metrics._first_token_seconds.observe(self.seconds)
        self._has_token = True

    def _count_end(self, done: AnalysisDone) -> None:
        metrics = self._metrics
        if done.answer:
            self._count_first_token()
        if self._merge_started is not None:
            merge_seconds = self.seconds - self._merge_started
            metrics._merge_seconds.observe(merge_seconds)
            _add(metrics._stage_seconds, merge_seconds, {"stage": "merge"})
        _add(metrics._prompt_tokens, done.usage.prompt_tokens)
        _add(metrics._cached_tokens, done.usage.cached_tokens)
        _add(metrics._completion_tokens, done.usage.completion_tokens)
        if done.num_answered:
            self.outcome = PARTIAL if done.is_partial else COMPLETED
        else:
            self.outcome, self.error_type = FAILED, "no_chunk_answered"


class _ChunkMetrics:
    """Of the chunks of all analyses."""

    def __init__(self, stage_seconds: Counter) -> None:
        self._stage_seconds = stage_seconds
        self._chunks = Counter("longtake_chunks_total", "Chunks that were answered, or given up.", ("outcome",))
        self._failures = Counter("longtake_chunk_failures_total", "Chunks without an answer, by why.", ("type",))
        self._retries = Counter("longtake_chunk_retries_total", "Attempts at chunks after the first one.")
        self._degraded = Counter(
            "longtake_degraded_chunks_total", "Answered chunks with damaged pictures, or without some frames."
        )
        self._fallbacks = Counter(
            "longtake_decoder_fallbacks_total", "Chunks that the first decoder could not bring alone.", ("decoder",)
        )
        self._frames = Counter("longtake_frames_total", "Frames that the engine was shown.")
        self._missing = Counter("longtake_missing_frames_total", "Frames that were planned and could not be decoded.")
        self._chunk_seconds = Histogram(
            "longtake_chunk_seconds", "From a chunk's turn to its answer, attempts that were lost included.", SECONDS
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
        _add(self._retries, answer.attempts - 1)
        if answer.failure:
            self._failures.inc(tags={"type": answer.failure.type})
        if answer.text:
            seconds = answer.text.generation.inference_seconds
            self._queue_seconds.observe(answer.queue_seconds)
            self._inference_seconds.observe(seconds)
            _add(self._stage_seconds, answer.queue_seconds, {"stage": "queue"})
            _add(self._stage_seconds, seconds, {"stage": "inference"})
            self._count_decoding(answer.text.decode)

    def _count_decoding(self, report: DecodeReport) -> None:
        _add(self._frames, report.num_frames)
        _add(self._missing, len(report.missing_pts_seconds))
        if report.is_damaged or report.missing_pts_seconds:
            self._degraded.inc()
        if report.is_reused:
            return
        self._decode_seconds.observe(report.decode_seconds)
        _add(self._stage_seconds, report.decode_seconds, {"stage": "decode"})
        if report.fallback_reason is not None:
            self._fallbacks.inc(tags={"decoder": report.backend})


class FrameStoreMetrics:
    """Of the decoded frames that one Orchestrator replica has in the object store."""

    def __init__(self, in_flight_limit_bytes: int, kept_limit_bytes: int) -> None:
        self._limit = PersistentGauge(
            "longtake_frames_limit_bytes", "What decoded frames may take, by what for.", ("use",)
        )
        self._limit.set(in_flight_limit_bytes, tags={"use": "in_flight"})
        self._limit.set(kept_limit_bytes, tags={"use": "kept"})
        self._bytes = PersistentGauge("longtake_frames_bytes", "What decoded frames take, by what for.", ("use",))
        self._hits = Counter("longtake_frame_cache_hits_total", "Chunks whose frames were kept from before.")
        self._misses = Counter("longtake_frame_cache_misses_total", "Chunks that had to be decoded.")

    def in_flight(self, num_bytes: int) -> None:
        self._bytes.set(num_bytes, tags={"use": "in_flight"})

    def kept(self, num_bytes: int) -> None:
        self._bytes.set(num_bytes, tags={"use": "kept"})

    def asked(self, *, is_kept: bool) -> None:
        (self._hits if is_kept else self._misses).inc()


class SourceMetrics:
    """Of a replica that reads videos."""

    def __init__(self) -> None:
        self._fetched_bytes = Counter(
            "longtake_source_fetched_bytes_total", "Fetched of remote videos, by where from.", ("source",)
        )

    def fetched(self, source: str, num_bytes: int) -> None:
        _add(self._fetched_bytes, num_bytes, {"source": source})


class DecoderMetrics:
    """Of one FrameDecoder replica."""

    def __init__(self) -> None:
        self._backend_seconds = Histogram(
            "longtake_decoder_seconds", "Decoding a chunk, by which decoders brought its frames.", SECONDS, ("decoder",)
        )
        self._workers_lost = Counter(
            "longtake_decoder_workers_lost_total", "Decoding processes that crashed, or had to be stopped."
        )
        self._failures = Counter("longtake_decoder_failures_total", "Chunks that no decoder brought.", ("type",))
        self._num_lost = 0

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """Counts what comes out of the block as an error."""
        try:
            yield
        except Exception as error:
            if not is_cancellation(error):
                self._failures.inc(tags={"type": error_type(error)})
            raise

    def decoded(self, report: DecodeReport) -> None:
        self._backend_seconds.observe(report.decode_seconds, tags={"decoder": report.backend})

    def lost(self, num_workers: int) -> None:
        """How many there were in all so far."""
        _add(self._workers_lost, num_workers - self._num_lost)
        self._num_lost = num_workers


def _add(counter: Counter, number: float, tags: dict[str, str] | None = None) -> None:
    """Ray refuses to add nothing."""
    if number > 0:
        counter.inc(number, tags=tags)


def _outcome_of(error: BaseException) -> str:
    if is_cancellation(error):
        return CANCELLED
    if isinstance(error, EngineBusy):
        return REFUSED
    return REJECTED if isinstance(error, InvalidRequest | SourceError | VideoError) else FAILED
