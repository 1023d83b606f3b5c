"""Spans, as a collector gets them, and the lines that are logged under them."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from deployments.api.request_spans import RequestSpans, begin_trail
from deployments.logs import current_trail, follow
from deployments.telemetry import tracing
from deployments.telemetry.analysis_monitor import AnalysisMonitor
from deployments.telemetry.tracing import stage
from pipeline.analysis import AnalysisDone, AnalysisEvent, AnalysisJob, ChunkDone, PlanReady
from pipeline.errors import EngineFailed, SourceNotFound
from pipeline.types import NO_TRAIL, Trail
from tests.deployments.api.fakes import FAILED, PLAN, WHOLE, done
from tests.deployments.telemetry.fake_metrics import FakeMetrics, recorded
from tests.otlp import Collector, ReceivedSpan, collecting, collecting_by_grpc

INCOMING = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECRET = "c4nary"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """Traces are on, and come here."""
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        _restart()
        yield collector
        _flush()
    _restart()


def _restart() -> None:
    tracing._provider.cache_clear()


def _flush() -> None:
    provider = tracing._provider()
    assert provider
    provider.force_flush()


def exported(collector: Collector) -> dict[str, ReceivedSpan]:
    _flush()
    return {span.name: span for span in collector.spans}


def test_without_an_endpoint_nothing_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*tracing.ENDPOINTS, "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    _restart()
    with stage("work", Trail("analysis-1", traceparent=INCOMING)) as work:
        work.set(num_frames=3)
        work.fail("decode_failed")
        assert work.trail == Trail("analysis-1", traceparent=INCOMING)  # for whoever traces further on
    assert tracing._provider() is None


@pytest.mark.parametrize("variable", [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")])
def test_it_can_be_turned_off(variable: tuple[str, str], collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(*variable)
    _restart()
    with stage("work", NO_TRAIL):
        pass
    assert tracing._provider() is None
    monkeypatch.delenv(variable[0])
    _restart()


def test_a_protocol_that_is_none(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    with pytest.raises(ValueError, match="set it to http/protobuf or grpc"):
        tracing._provider()
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_PROTOCOL")


def test_the_other_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting_by_grpc() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        _restart()
        with stage("work", Trail("analysis-1")):
            pass
        assert exported(collector)["work"].attributes == {"longtake.analysis_id": "analysis-1"}
    _restart()


def test_stages_in_stages(collector: Collector) -> None:
    with (
        stage("outer", Trail("analysis-1", traceparent=INCOMING), num_chunks=2, decoder=None) as outer,
        stage("inner", replace(outer.trail, chunk_index=7)) as inner,
    ):
        inner.set(num_frames=3)
    spans = exported(collector)
    assert spans["outer"].trace_id == spans["inner"].trace_id == INCOMING.split("-")[1]
    assert spans["outer"].parent_id == INCOMING.split("-")[2]
    assert spans["inner"].parent_id == spans["outer"].span_id
    assert spans["outer"].attributes == {"longtake.analysis_id": "analysis-1", "longtake.num_chunks": 2}
    assert spans["inner"].attributes == {
        "longtake.analysis_id": "analysis-1",
        "longtake.chunk_index": 7,
        "longtake.num_frames": 3,
    }
    assert spans["outer"].start_seconds <= spans["inner"].start_seconds
    assert spans["inner"].stop_seconds <= spans["outer"].stop_seconds
    assert spans["inner"].resource["service.name"] == "longtake"


@pytest.mark.parametrize("traceparent", [None, "", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"])
def test_a_trace_begins_where_none_came(traceparent: str | None, collector: Collector) -> None:
    with stage("first", Trail(traceparent=traceparent)):
        pass
    with stage("second", Trail(traceparent=traceparent)):
        pass
    spans = exported(collector)
    assert spans["first"].parent_id == spans["second"].parent_id == ""
    assert spans["first"].trace_id != spans["second"].trace_id


def test_what_the_client_does_not_sample_is_not_exported(collector: Collector) -> None:
    with stage("unsampled", Trail(traceparent=INCOMING[:-1] + "0")) as work:
        assert work.trail.traceparent and work.trail.traceparent.endswith("-00")
    assert "unsampled" not in exported(collector)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (EngineFailed(SECRET), "engine_failed"),
        (ValueError(SECRET), "internal_error"),
        (asyncio.CancelledError(), None),
    ],
)
def test_an_error_is_marked_by_its_type_alone(error: BaseException, kind: str | None, collector: Collector) -> None:
    with pytest.raises(type(error)), stage("work", NO_TRAIL):
        raise error
    span = exported(collector)["work"]
    assert span.error == kind
    assert span.attributes.get("error.type") == kind
    assert span.attributes.get("longtake.given_up", False) == (kind is None)
    assert not any(SECRET.encode() in body for body in collector.bodies)


# --- One analysis -----------------------------------------------------------------------------------------------------


@pytest.fixture
def kept() -> Iterator[FakeMetrics]:
    with recorded() as kept:
        yield kept


def job(trail: Trail = NO_TRAIL) -> AnalysisJob:
    fields: dict[str, Any] = dict.fromkeys(
        ("source", "prompt", "chunking", "token_sampling", "chunk_token_sampling", "aggregate", "merge_instruction")
    )
    return AnalysisJob(**fields, asked_at=0, trail=trail)


class Analysis:
    """Plays `events`; keeps the job that it was given, and whether it was closed."""

    def __init__(self, *events: AnalysisEvent | Exception) -> None:
        self.events = events
        self.job: AnalysisJob | None = None
        self.is_closed = False

    async def __call__(self, job: AnalysisJob) -> AsyncGenerator[AnalysisEvent, None]:
        self.job = job
        try:
            for event in self.events:
                if isinstance(event, Exception):
                    raise event
                yield event
        finally:
            self.is_closed = True


async def test_an_analysis_is_a_span_and_two_lines(
    collector: Collector, kept: FakeMetrics, caplog: pytest.LogCaptureFixture
) -> None:
    analysis = Analysis(*WHOLE)
    with caplog.at_level(logging.INFO):
        events = [event async for event in AnalysisMonitor().over(job(Trail("analysis-1")), analysis)]
    assert events == list(WHOLE)
    span = exported(collector)["analysis"]
    assert analysis.job and analysis.job.trail.traceparent
    assert analysis.job.trail.traceparent.split("-")[1:3] == [span.trace_id, span.span_id]
    assert span.attributes["longtake.outcome"] == "partial"
    assert span.attributes["longtake.num_chunks"] == 2
    assert span.attributes["longtake.chunks_answered"] == 1
    assert span.error is None
    first, last = caplog.records
    assert (first.getMessage(), last.getMessage()[:16]) == ("analysis begun", "analysis partial")
    assert vars(last)["outcome"] == "partial" and vars(last)["chunks"] == 2


async def test_all_is_counted_when_the_answer_comes(collector: Collector, kept: FakeMetrics) -> None:
    async with aclosing(AnalysisMonitor().over(job(), Analysis(*WHOLE))) as events:
        async for event in events:
            if isinstance(event, AnalysisDone):
                break
    assert kept.value("longtake_analyses_total", outcome="partial") == 1
    assert "longtake.given_up" not in exported(collector)["analysis"].attributes


async def test_a_client_that_leaves(collector: Collector, kept: FakeMetrics) -> None:
    analysis = Analysis(*WHOLE)
    async with aclosing(AnalysisMonitor().over(job(), analysis)) as events:
        assert isinstance(await anext(events), PlanReady)
    assert analysis.is_closed
    assert kept.value("longtake_analyses_total", outcome="cancelled") == 1
    span = exported(collector)["analysis"]
    assert span.attributes["longtake.outcome"] == "cancelled" and span.error is None


@pytest.mark.parametrize(
    ("events", "outcome", "error"),
    [
        ([SourceNotFound(SECRET)], "rejected", "source_not_found"),
        ([ChunkDone(FAILED), done(None, chunk_answers=(FAILED,))], "failed", "no_chunk_answered"),
    ],
)
async def test_an_analysis_without_an_answer(
    events: list[AnalysisEvent | Exception],
    outcome: str,
    error: str,
    collector: Collector,
    kept: FakeMetrics,
    caplog: pytest.LogCaptureFixture,
) -> None:
    watched: AsyncIterator[AnalysisEvent] = AnalysisMonitor().over(job(), Analysis(PlanReady(PLAN), *events))
    with caplog.at_level(logging.INFO):
        try:
            async for _ in watched:
                pass
        except SourceNotFound:
            pass
    span = exported(collector)["analysis"]
    assert (span.attributes["longtake.outcome"], span.error) == (outcome, error)
    assert f"analysis {outcome} ({error})" in caplog.text
    assert SECRET not in caplog.text


# --- Logs -------------------------------------------------------------------------------------------------------------


def test_lines_say_whose_they_are(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("ray.serve")
    with caplog.at_level(logging.INFO):
        with stage("chunk", Trail("analysis-1", chunk_index=3)):
            logger.info("within")
        logger.info("after")
    within, after = (vars(record) for record in caplog.records)
    assert (within["analysis_id"], within["chunk_index"]) == ("analysis-1", 3)
    assert not {"analysis_id", "chunk_index"} & after.keys()


async def test_tasks_do_not_share_a_trail() -> None:
    async def work(analysis_id: str) -> str | None:
        with stage("work", Trail(analysis_id)):
            await asyncio.sleep(0)
            return current_trail().analysis_id

    assert await asyncio.gather(*(work(str(number)) for number in range(3))) == ["0", "1", "2"]
    assert current_trail() == NO_TRAIL


# --- HTTP -------------------------------------------------------------------------------------------------------------


@pytest.fixture
def client() -> Iterator[TestClient]:
    app = FastAPI()
    app.add_middleware(RequestSpans)

    @app.get("/v1/analyses/{analysis_id}")
    async def analysis(analysis_id: str) -> dict[str, Any]:
        return vars(begin_trail(NO_TRAIL))

    @app.get("/v1/broken")
    async def broken() -> None:
        raise ValueError(SECRET)

    @app.get("/health/live")
    async def live() -> dict[str, Any]:
        return {}

    with TestClient(app, raise_server_exceptions=False) as client:
        yield client
    follow(NO_TRAIL)


def test_a_request_goes_on_with_the_clients_trace(client: TestClient, collector: Collector) -> None:
    answer = client.get(f"/v1/analyses/{SECRET}?token={SECRET}", headers={"traceparent": INCOMING})
    span = exported(collector)["GET /v1/analyses/{analysis_id}"]
    assert (span.trace_id, span.parent_id) == tuple(INCOMING.split("-")[1:3])
    assert span.attributes == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/v1/analyses/{analysis_id}",
    }
    trail = answer.json()
    assert trail["traceparent"] == f"00-{span.trace_id}-{span.span_id}-01"
    assert trail["analysis_id"].startswith("analysis-") and len(trail["analysis_id"]) == len("analysis-") + 32
    assert not any(SECRET.encode() in body for body in collector.bodies)


def test_an_analysis_that_has_a_name_keeps_it() -> None:
    assert begin_trail(Trail("analysis-1", traceparent=INCOMING)) == Trail("analysis-1", traceparent=INCOMING)


@pytest.mark.parametrize(
    ("path", "status", "error"),
    [("/v1/broken", 500, "internal_error"), ("/nowhere", 404, None)],
)
def test_failed_requests(path: str, status: int, error: str | None, client: TestClient, collector: Collector) -> None:
    assert client.get(path).status_code == status
    _flush()
    (span,) = collector.spans
    assert span.error == error
    assert span.attributes.get("http.response.status_code", status) == status
    assert not any(SECRET.encode() in body for body in collector.bodies)


def test_probes_are_not_traced(client: TestClient, collector: Collector) -> None:
    assert client.get("/health/live").status_code == 200
    assert exported(collector) == {}


def test_a_collector_that_is_gone_keeps_nobody_waiting() -> None:
    """In a process of its own: the exporter tries again until it ends."""
    script = (
        "import time\n"
        "from deployments.telemetry.tracing import stage\n"
        "from pipeline.types import NO_TRAIL\n"
        "with stage('first', NO_TRAIL): pass\n"
        "started = time.perf_counter()\n"
        "for _ in range(1000):\n"
        "    with stage('work', NO_TRAIL): pass\n"
        "print(time.perf_counter() - started)\n"
        "import os, sys; sys.stdout.flush(); os._exit(0)\n"
    )
    environment = os.environ | {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    told = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert float(json.loads(told.stdout)) < 2.0
