"""Open a span for each HTTP request: the root of a trace, or a child of the client's span if it sent one."""

from opentelemetry.trace import SpanKind
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.telemetry.tracing import Stage, stage
from pipeline.types import Trail

UNTRACED = ("/health/",)
"""Paths without spans: probes arrive every few seconds and would hide the spans of analyses."""


class RequestSpans:
    """ASGI middleware that reads `traceparent` (W3C Trace Context) from the request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(UNTRACED):
            await self._app(scope, receive, send)
            return
        with stage(scope["method"], _incoming(scope), kind=SpanKind.SERVER) as request:

            async def recording_send(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _record_response(request, scope, message["status"])
                await send(message)

            await self._app(scope, receive, recording_send)


def _incoming(scope: Scope) -> Trail:
    headers: dict[bytes, bytes] = dict(scope["headers"])
    return Trail(traceparent=headers.get(b"traceparent", b"").decode("latin-1") or None)


def _record_response(request: Stage, scope: Scope, status: int) -> None:
    route = getattr(scope.get("route"), "path", None)  # a pattern: paths hold ids
    request.rename(f"{scope['method']} {route}" if route else scope["method"])
    request.set_standard(
        {"http.request.method": scope["method"], "http.response.status_code": status}
        | ({"http.route": route} if route else {})
    )
    if status >= 500:
        request.fail(str(status))
