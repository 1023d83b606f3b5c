"""OpenTelemetry spans: a trace is an analysis, a span is one of its stages, in whatever process it ran.

Serve's own tracing is not used: it wraps every call between replicas in two more spans, samples one request in a
hundred by default, and never marks a failure. OpenTelemetry's standard variables configure the exporter, and
`OTEL_EXPORTER_OTLP_ENDPOINT` turns it on. Without it a stage costs 5 µs.

Spans hold numbers, names of stages and types of errors: no prompt, no answer, no URL, no exception's message.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from ray import serve
from ray.serve.exceptions import RayServeException

from deployments.logs import follow
from deployments.serving.ray_errors import error_type, is_cancellation
from pipeline.types import Trail

AttributeValue = str | bool | int | float

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
SWITCHES = (("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none"))
"""Variables that turn traces off, with the value that does so."""
HTTP_PROTOCOL, GRPC_PROTOCOL = "http/protobuf", "grpc"
_W3C = TraceContextTextMapPropagator()


@dataclass(frozen=True)
class Stage:
    """A piece of work in progress."""

    trail: Trail
    """Passed on to the calls that do a part of the work."""
    _span: Span | None = None

    def set(self, **attributes: AttributeValue | None) -> None:
        """Set attributes of the span, as `longtake.<name>`."""
        self.set_standard({f"longtake.{name}": value for name, value in attributes.items() if value is not None})

    def set_standard(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Set attributes under names of OpenTelemetry's conventions."""
        if self._span is not None:
            self._span.set_attributes(attributes)

    def fail(self, kind: str) -> None:
        """Mark the span as failed, with the type of an error."""
        if self._span is not None:
            self._span.set_attribute("error.type", kind)
            self._span.set_status(Status(StatusCode.ERROR, kind))

    def rename(self, name: str) -> None:
        if self._span is not None:
            self._span.update_name(name)


@contextmanager
def stage(
    name: str, trail: Trail, *, kind: SpanKind = SpanKind.INTERNAL, **attributes: AttributeValue | None
) -> Iterator[Stage]:
    """Open a span below that of `trail`, if traces are on, and put its trail on lines that the block logs.

    An exception that leaves the block marks the span as failed, unless it is a cancellation.
    """
    span = _started(name, trail, kind)
    work = Stage(trail if span is None else replace(trail, traceparent=_traceparent(span)), span)
    before = follow(work.trail)
    work.set(analysis_id=trail.analysis_id, chunk_index=trail.chunk_index, **attributes)
    try:
        yield work
    except BaseException as error:
        if is_cancellation(error):
            work.set(given_up=True)
        else:
            work.fail(error_type(error))
        raise
    finally:
        follow(before)
        if span is not None:
            span.end()


def _started(name: str, trail: Trail, kind: SpanKind) -> Span | None:
    provider = _provider()
    if provider is None:
        return None
    parent = _W3C.extract({"traceparent": trail.traceparent} if trail.traceparent else {}, context=Context())
    return provider.get_tracer("longtake").start_span(name, context=parent, kind=kind)


def _traceparent(span: Span) -> str:
    carrier: dict[str, str] = {}
    _W3C.inject(carrier, context=trace.set_span_in_context(span, Context()))
    return carrier["traceparent"]


@cache
def _provider() -> TracerProvider | None:
    """Return the provider of this process, which exports in a thread; None if traces are off."""
    if not any(map(os.environ.get, ENDPOINTS)) or any(os.environ.get(name) == off for name, off in SWITCHES):
        return None
    exporter: SpanExporter  # imported only when needed
    if _protocol() == GRPC_PROTOCOL:
        from opentelemetry.exporter.otlp.proto.grpc import trace_exporter as grpc  # noqa: PLC0415

        exporter = grpc.OTLPSpanExporter()
    else:
        from opentelemetry.exporter.otlp.proto.http import trace_exporter as http  # noqa: PLC0415

        exporter = http.OTLPSpanExporter()
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: "longtake"}
    provider = TracerProvider(resource=Resource.create(named | _replica()))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


def _protocol() -> str:
    """Return the OTLP protocol. Raises ValueError for one that the Python exporters do not support."""
    protocol = next(filter(None, map(os.environ.get, PROTOCOLS)), HTTP_PROTOCOL)
    if protocol not in (HTTP_PROTOCOL, GRPC_PROTOCOL):
        raise ValueError(f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}; set it to {HTTP_PROTOCOL} or {GRPC_PROTOCOL}.")
    return protocol


def _replica() -> dict[str, str]:
    try:
        context = serve.get_replica_context()
    except RayServeException:  # outside Serve
        return {}
    return {"longtake.deployment": context.deployment, "service.instance.id": context.replica_tag}
