"""The tracer provider of this process, restarted and flushed for tests."""

from __future__ import annotations

from deployments.telemetry import tracing
from tests.otlp import Collector, ReceivedSpan

INCOMING = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECRET = "c4nary"


def restart_provider() -> None:
    tracing._provider.cache_clear()


def flush() -> None:
    provider = tracing._provider()
    assert provider
    provider.force_flush()


def exported(collector: Collector) -> dict[str, ReceivedSpan]:
    flush()
    return {span.name: span for span in collector.spans}
