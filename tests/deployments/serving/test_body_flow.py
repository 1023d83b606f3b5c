"""Both of Serve's queues wait for who reads from them. What that saves is measured in tests/graph/test_uploads.py."""

from __future__ import annotations

import asyncio
import pickle
import re
from pathlib import Path
from typing import Any

from ray.serve._private.http_util import ASGIReceiveProxy, MessageQueue, validate_http_proxy_callback_return
from ray.serve._private.proxy import HTTPProxy
from ray.serve._private.utils import call_function_from_import_path

from deployments.serving.body_flow import (
    MAX_WAITING_MESSAGES,
    PROXY_CALLBACK,
    PROXY_CALLBACK_VARIABLE,
    PacedBodies,
    _paced_proxy_asgi_receive,
)

ROOT = Path(__file__).parents[3]
MESSAGE = {"type": "http.request", "body": b"x", "more_body": True}
DISCONNECT = {"type": "http.disconnect"}


def test_serve_calls_it(monkeypatch: Any) -> None:
    monkeypatch.setattr(HTTPProxy, "proxy_asgi_receive", HTTPProxy.proxy_asgi_receive)
    assert validate_http_proxy_callback_return(call_function_from_import_path(PROXY_CALLBACK)) == []
    assert HTTPProxy.proxy_asgi_receive is _paced_proxy_asgi_receive


def test_whoever_starts_ray_names_it() -> None:
    for name in ("Makefile", "cluster.yaml"):
        assert re.search(rf"{PROXY_CALLBACK_VARIABLE} ?:?= ?{PROXY_CALLBACK}", (ROOT / name).read_text()), name


async def test_the_proxy_reads_on_when_it_is_read_from() -> None:
    queue, received = MessageQueue(), 0

    async def receive() -> dict[str, Any]:
        nonlocal received
        received += 1
        return MESSAGE if received < 1000 else DISCONNECT

    reading = asyncio.create_task(_paced_proxy_asgi_receive(None, receive, queue))
    taken = 0
    while not reading.done():
        await asyncio.sleep(0.01)
        assert received - taken <= MAX_WAITING_MESSAGES + 1
        taken += len(queue.get_messages_nowait())
    assert taken + len(queue.get_messages_nowait()) == 1000
    await asyncio.wait_for(queue.wait_for_message(), 1)  # closed


async def test_the_replica_asks_for_more_when_it_has_read() -> None:
    asked = 0

    async def fetch(_: Any) -> bytes:
        nonlocal asked
        asked += 1
        return pickle.dumps([MESSAGE] * 10 if asked < 100 else [DISCONNECT])

    receive = ASGIReceiveProxy({"type": "http"}, None, fetch)
    read = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal read
        fetching = asyncio.create_task(receive.fetch_until_disconnect())  # as Serve does beside the application
        while (await receive())["type"] != "http.disconnect":
            read += 1
            if read % 10 == 0:
                await asyncio.sleep(0.001)
                assert asked * 10 - read <= MAX_WAITING_MESSAGES + 20
        await fetching

    await PacedBodies(app)({"type": "http"}, receive, None)
    assert read == 990
