"""Backpressure for request bodies on their way through Ray Serve.

Serve (2.60) reads a body as fast as it arrives, into a queue of its proxy and from there into a queue of the replica,
and bounds neither. During an upload of 2 GiB, which took Ingress 18 s, 1.8 GB lay in the proxy and 2.1 GB in Ingress.
Here both queues wait for their readers, and so does the client, by TCP. Neither queue is public;
tests/graph/test_uploads.py shows what an upgrade breaks.
"""

import asyncio
import os
from typing import Any

from ray.serve._private.http_util import ASGIReceiveProxy, MessageQueue
from ray.serve._private.proxy import HTTPProxy
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.logs import logger

PROXY_CALLBACK_VARIABLE = "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"
PROXY_CALLBACK = "deployments.serving.body_flow:pace_proxy"
MAX_WAITING_MESSAGES = 32
"""Limit for each of the two queues. uvicorn's messages have 64 KB as a rule, and up to 320."""
PAUSE_SECONDS = 0.005


def pace_proxy() -> list[Middleware]:
    """Slow down the proxy's reads. Serve's proxies call this as they start, if Ray's environment names it."""
    HTTPProxy.proxy_asgi_receive = _paced_proxy_asgi_receive
    return []


def warn_if_unpaced() -> None:
    """Log a warning unless Serve's proxy is paced. A replica shares the environment of its proxy."""
    if os.environ.get(PROXY_CALLBACK_VARIABLE) != PROXY_CALLBACK:
        logger.warning(
            "Uploads that arrive faster than they are written will fill the memory of Serve's proxy: start Ray with "
            "%s=%s in its environment, as `make serve` does.",
            PROXY_CALLBACK_VARIABLE,
            PROXY_CALLBACK,
        )


class PacedBodies:
    """ASGI middleware of Ingress that fetches more from the proxy only when little is waiting."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if isinstance(receive, ASGIReceiveProxy):
            _pace(receive)
        await self._app(scope, receive, send)


def _pace(receive: Any) -> None:
    fetch = receive._receive_asgi_messages

    async def paced(request_metadata: Any) -> Any:
        while receive.queue.qsize() > MAX_WAITING_MESSAGES:  # noqa: ASYNC110  # the queue has no event for it
            await asyncio.sleep(PAUSE_SECONDS)
        return await fetch(request_metadata)

    receive._receive_asgi_messages = paced


async def _paced_proxy_asgi_receive(self: HTTPProxy, receive: Receive, queue: MessageQueue) -> int | None:
    """Serve's own method, with a pause."""
    try:
        while True:
            message = await receive()
            await queue(message)
            if message["type"] == "http.disconnect":
                return None
            if message["type"] == "websocket.disconnect":
                return int(message["code"])
            while len(queue._message_queue) > MAX_WAITING_MESSAGES:  # noqa: ASYNC110
                await asyncio.sleep(PAUSE_SECONDS)
    finally:
        queue.close()  # readers of a closed queue return at once
