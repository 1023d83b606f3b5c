"""Metrics of whole analyses: how many, how they ended, how long they took, how many tokens."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from ray.serve.metrics import Counter, Histogram

from deployments.serving.ray_errors import error_type, is_cancellation
from deployments.telemetry.chunk_metrics import ChunkMetrics
from deployments.telemetry.instruments import LONG_SECONDS, PersistentGauge, increase
from pipeline.analysis import AnalysisDone, AnalysisEvent, AnswerDelta, ChunkDone, Progress
from pipeline.errors import EngineBusy, InvalidRequest, SourceError, VideoError
from pipeline.types import TokenUsage

COMPLETED, PARTIAL, REJECTED, REFUSED, CANCELLED, FAILED = OUTCOMES = (
    "completed",
    "partial",
    "rejected",
    "refused",
    "cancelled",
    "failed",
)
"""How an analysis ends: whole; without some chunk or without the merged answer; not started because the request or its
video is unusable; not started because the server is full; cancelled by the client; failed by an error of the server or
without any chunk's answer."""


class AnalysisMetrics:
    """The analyses of one Orchestrator replica."""

    def __init__(self) -> None:
        self._stage_seconds = Counter(
            # Ray's histograms keep only an observation's bucket: their sums add up the buckets' middles.
            "longtake_stage_seconds_total",
            "Seconds spent in each stage, over all chunks and merges.",
            ("stage",),
        )
        self._num_under_way = 0
        self._under_way = PersistentGauge("longtake_analyses_under_way", "Analyses that started and have not ended.")
        self._analyses = Counter("longtake_analyses_total", "Analyses that ended, by outcome.", ("outcome",))
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
            "longtake_cached_prompt_tokens_total", "Tokens of prompts that the engine's prefix cache still held."
        )
        self._completion_tokens = Counter("longtake_completion_tokens_total", "Tokens that were generated.")
        self.chunks = ChunkMetrics(self._stage_seconds)

    def tally(self) -> "AnalysisTally":
        """Return the tally of an analysis that starts now."""
        return AnalysisTally(self)

    def count_start(self) -> None:
        self._set_under_way(self._num_under_way + 1)

    def count_end(self, outcome: str, seconds: float) -> None:
        self._set_under_way(self._num_under_way - 1)
        self._analyses.inc(tags={"outcome": outcome})
        self._seconds.observe(seconds, tags={"outcome": outcome})

    def observe_first_chunk(self, seconds: float) -> None:
        self._first_chunk_seconds.observe(seconds)

    def observe_first_token(self, seconds: float) -> None:
        self._first_token_seconds.observe(seconds)

    def observe_merge(self, seconds: float) -> None:
        self._merge_seconds.observe(seconds)
        increase(self._stage_seconds, seconds, {"stage": "merge"})

    def count_tokens(self, usage: TokenUsage) -> None:
        increase(self._prompt_tokens, usage.prompt_tokens)
        increase(self._cached_tokens, usage.cached_tokens)
        increase(self._completion_tokens, usage.completion_tokens)

    def _set_under_way(self, number: int) -> None:
        self._num_under_way = number
        self._under_way.set(number)


class AnalysisTally:
    """Counts one analysis by its events."""

    def __init__(self, metrics: AnalysisMetrics) -> None:
        self.outcome = FAILED
        self.error_type = ""
        """Empty unless the analysis ends with an error."""
        self._metrics = metrics
        self._started = time.perf_counter()
        self._merge_started: float | None = None
        self._has_chunk = self._has_token = False

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._started

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Count an analysis that lasts as long as the block."""
        self._metrics.count_start()
        try:
            yield
        except BaseException as error:
            self.outcome, self.error_type = _outcome_of(error), "" if is_cancellation(error) else error_type(error)
            raise
        finally:
            self._metrics.count_end(self.outcome, self.seconds)

    def count(self, event: AnalysisEvent) -> None:
        match event:
            case ChunkDone(answer, is_recalled):
                if not is_recalled:  # otherwise the run that answered it has counted it
                    self._metrics.chunks.count(answer)
                if not self._has_chunk:
                    self._metrics.observe_first_chunk(self.seconds)
                self._has_chunk = True
            case Progress(merging=True):
                self._merge_started = self.seconds
            case AnswerDelta():
                self._count_first_token()
            case AnalysisDone():
                self._count_done(event)
            case _:
                pass

    def _count_first_token(self) -> None:
        if not self._has_token:
            self._metrics.observe_first_token(self.seconds)
        self._has_token = True

    def _count_done(self, done: AnalysisDone) -> None:
        if done.answer:
            self._count_first_token()
        if self._merge_started is not None:
            self._metrics.observe_merge(self.seconds - self._merge_started)
        self._metrics.count_tokens(done.usage)
        if done.num_answered:
            self.outcome = PARTIAL if done.is_partial else COMPLETED
        else:
            self.outcome, self.error_type = FAILED, "no_chunk_answered"


def _outcome_of(error: BaseException) -> str:
    if is_cancellation(error):
        return CANCELLED
    if isinstance(error, EngineBusy):
        return REFUSED
    return REJECTED if isinstance(error, InvalidRequest | SourceError | VideoError) else FAILED
