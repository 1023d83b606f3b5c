"""The calls that answer a chunk, over fake deployments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from ray.exceptions import RayActorError

from deployments.api.options import AnalysisOptions
from deployments.chunks.chunk_calls import ChunkCalls
from deployments.config import AnalysisSettings, AppSettings
from deployments.model_choice import choose_model
from deployments.serving import retries
from deployments.serving.text_relay import TextRelay
from pipeline.analysis import AnalysisJob
from pipeline.errors import DecodeFailed
from pipeline.types import ChunkText, LocalVideo, Prompt, TextDelta
from tests.deployments.api.fakes import ANSWERED, PLAN
from tests.deployments.fake_handles import FakeHandle
from tests.deployments.telemetry.fake_metrics import FakeMetrics, recorded

CHUNK = PLAN.chunks[0]


@pytest.fixture
def metrics(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMetrics]:
    monkeypatch.setattr(retries, "FIRST_PAUSE_SECONDS", 0.001)
    with recorded() as metrics:
        yield metrics


class Deployments:
    """A decoder and an engine that fail with each of `failures` in turn before they work."""

    def __init__(self, *failures: Exception, kept_bytes: int = 2**40, timeout_seconds: float = 10.0) -> None:
        self.failures = list(failures)
        self.num_decoded = 0
        self.calls = ChunkCalls(
            FakeHandle(decode=self.decode),
            FakeHandle(answer=self.answer, stream_answer=self.stream_answer),
            AnalysisSettings(chunk_attempts=3, chunk_timeout_seconds=timeout_seconds),
            2**40,
            kept_bytes,
        )

    def decode(self, *_: Any) -> None:
        """Only the engine awaits decoded frames, and this one does not."""
        self.num_decoded += 1

    async def answer(self, frames: Any, *_: Any) -> ChunkText:
        if self.failures:
            raise self.failures.pop(0)
        assert ANSWERED.text
        return ANSWERED.text

    async def stream_answer(self, frames: Any, *_: Any) -> Any:
        yield TextDelta("A cat ")
        if self.failures:
            raise self.failures.pop(0)
        yield TextDelta("sits.")
        yield ANSWERED.text


@pytest.fixture
def job() -> AnalysisJob:
    served = choose_model(AppSettings(), num_gpus=0, vllm_has_cuda=False)
    return AnalysisOptions().job(LocalVideo("cat.mp4"), Prompt("What happens?"), served)


async def test_a_chunk_is_decoded_and_answered(metrics: FakeMetrics, job: AnalysisJob) -> None:
    deployments = Deployments()
    answer = await deployments.calls.answer(job, PLAN, CHUNK)
    assert (answer.chunk_index, answer.attempts, answer.text, answer.failure) == (0, 1, ANSWERED.text, None)
    assert metrics.value("longtake_frames_bytes", use="in_flight") == 0
    assert metrics.value("longtake_frames_bytes", use="kept") == CHUNK.frame_bytes


async def test_frames_are_decoded_once_for_two_questions(metrics: FakeMetrics, job: AnalysisJob) -> None:
    deployments = Deployments()
    answers = [await deployments.calls.answer(job, PLAN, CHUNK) for _ in range(2)]
    assert deployments.num_decoded == 1
    assert [answer.text.decode.is_reused for answer in answers if answer.text] == [False, True]


async def test_a_lost_replica_is_retried_with_new_frames(metrics: FakeMetrics, job: AnalysisJob) -> None:
    deployments = Deployments(RayActorError())
    answer = await deployments.calls.answer(job, PLAN, CHUNK)
    assert (answer.attempts, answer.text, deployments.num_decoded) == (2, ANSWERED.text, 2)


@pytest.mark.parametrize(
    ("failures", "kind", "attempts"),
    [
        ([RayActorError()] * 3, "replica_lost", 3),
        ([DecodeFailed("No frame.")], "decode_failed", 1),
        ([ValueError("/secret")], "internal_error", 1),
    ],
)
async def test_a_failure_is_part_of_the_answer(
    failures: list[Exception], kind: str, attempts: int, metrics: FakeMetrics, job: AnalysisJob
) -> None:
    answer = await Deployments(*failures).calls.answer(job, PLAN, CHUNK)
    assert answer.text is None and answer.failure
    assert (answer.failure.type, answer.attempts) == (kind, attempts)
    assert "secret" not in answer.failure.message
    assert metrics.value("longtake_frames_bytes", use="kept") == 0


async def test_a_relay_gets_the_text_once_across_attempts(metrics: FakeMetrics, job: AnalysisJob) -> None:
    passed_on: list[str] = []
    deployments = Deployments(RayActorError())
    answer = await deployments.calls.answer(job, PLAN, CHUNK, TextRelay(passed_on.append))
    assert (answer.attempts, "".join(passed_on)) == (2, "A cat sits.")
