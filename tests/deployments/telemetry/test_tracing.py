"""Spans, as a collector gets them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest

from deployments.telemetry import tracing
from deployments.telemetry.tracing import stage
from pipeline.errors import EngineFailed
from pipeline.types import NO_TRAIL, Trail
from tests.deployments.telemetry.tracing_provider import INCOMING, SECRET, exported, restart_provider
from tests.otlp import Collector, collecting_by_grpc


def test_without_an_endpoint_nothing_is_traced(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*tracing.ENDPOINTS, "OTEL_SDK_DISABLED"):
        monkeypatch.delenv(name, raising=False)
    restart_provider()
    with stage("work", Trail("analysis-1", traceparent=INCOMING)) as work:
        work.set(num_frames=3)
        work.fail("decode_failed")
        assert work.trail == Trail("analysis-1", traceparent=INCOMING)  # for whoever traces further on
    assert tracing._provider() is None


@pytest.mark.parametrize("variable", [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")])
def test_it_can_be_turned_off(variable: tuple[str, str], collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(*variable)
    restart_provider()
    with stage("work", NO_TRAIL):
        pass
    assert tracing._provider() is None
    monkeypatch.delenv(variable[0])
    restart_provider()


def test_a_protocol_that_is_none(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")
    with pytest.raises(ValueError, match="set it to http/protobuf or grpc"):
        tracing._provider()
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_PROTOCOL")


def test_the_other_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    with collecting_by_grpc() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        restart_provider()
        with stage("work", Trail("analysis-1")):
            pass
        assert exported(collector)["work"].attributes == {"longtake.analysis_id": "analysis-1"}
    restart_provider()


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
