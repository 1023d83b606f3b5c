"""Server-sent events on the wire: framing, headers, keep-alive, and clients that disconnect."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from deployments.wire import event_stream as module
from deployments.wire.event_stream import event, event_stream
from tests.deployments.listeners import SCOPE, Listener


@pytest.mark.parametrize(
    ("written", "wire"),
    [
        (event({"text": "Ein Kätzchen"}, "delta", number=7), 'id: 7\nevent: delta\ndata: {"text": "Ein Kätzchen"}\n\n'),
        (event({"a": None}, "plan"), 'event: plan\ndata: {"a": null}\n\n'),
        (event('{"a": 1}'), 'data: {"a": 1}\n\n'),
        (event("[DONE]"), "data: [DONE]\n\n"),
        (event({"text": "a\nb\u2028c"}), 'data: {"text": "a\\nb\u2028c"}\n\n'),
    ],
)
def test_an_event_on_the_wire(written: bytes, wire: str) -> None:
    assert written == wire.encode()


async def test_a_stream_passes_events_on_as_they_are_and_ends() -> None:
    async def events() -> AsyncIterator[bytes]:
        yield event(1, "first", number=1)
        yield event(2, "second", number=2)

    listener = Listener()
    await event_stream(events())(SCOPE, listener.receive, listener.send)  # type: ignore[arg-type]
    assert listener.body == b"id: 1\nevent: first\ndata: 1\n\nid: 2\nevent: second\ndata: 2\n\n"
    assert listener.headers["content-type"].startswith("text/event-stream")
    assert listener.headers["cache-control"] == "no-cache"
    assert listener.headers["x-accel-buffering"] == "no"


async def test_a_silent_stream_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.KEEP_ALIVE_SECONDS == 15
    monkeypatch.setattr(module, "KEEP_ALIVE_SECONDS", 0.02)
    is_answered = asyncio.Event()

    async def events() -> AsyncIterator[bytes]:
        await is_answered.wait()
        yield event("late")

    listener = Listener()
    stream = asyncio.ensure_future(event_stream(events())(SCOPE, listener.receive, listener.send))  # type: ignore[arg-type]
    await listener.has(b": keep-alive\n\n: keep-alive\n\n")
    is_answered.set()
    await asyncio.wait_for(stream, 5)
    assert b": keep-alive\n\ndata: late\n\n" in listener.body


async def test_a_client_that_disconnects_ends_the_events() -> None:
    has_ended = asyncio.Event()

    async def events() -> AsyncIterator[bytes]:
        try:
            yield event("first")
            await asyncio.Event().wait()
        finally:
            has_ended.set()

    listener = Listener()
    stream = asyncio.ensure_future(event_stream(events())(SCOPE, listener.receive, listener.send))  # type: ignore[arg-type]
    await listener.has(b"first")
    listener.left.set()
    await asyncio.wait_for(stream, 5)
    assert has_ended.is_set()
