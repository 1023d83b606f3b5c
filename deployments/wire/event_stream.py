"""Server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from fastapi.responses import StreamingResponse

KEEP_ALIVE_SECONDS = 15.0
"""Below the idle timeout of common proxies (60 s): a long chunk says nothing for minutes."""
KEEP_ALIVE = ": keep-alive\n\n"


def event(data: Any, name: str | None = None, *, number: int | None = None) -> str:
    """One event on the wire. With its number a client can ask for what came after it."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return (
        (f"id: {number}\n" if number is not None else "") + (f"event: {name}\n" if name else "") + f"data: {text}\n\n"
    )


def event_stream(lines: AsyncIterator[str]) -> StreamingResponse:
    return StreamingResponse(
        _kept_alive(lines),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


async def _kept_alive(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    upcoming: asyncio.Future[str] | None = None
    try:
        while True:
            upcoming = upcoming or asyncio.ensure_future(anext(lines))
            done, _ = await asyncio.wait([upcoming], timeout=KEEP_ALIVE_SECONDS)
            if not done:
                yield KEEP_ALIVE
                continue
            try:
                line, upcoming = upcoming.result(), None
            except StopAsyncIteration:
                return
            yield line
    finally:
        if upcoming:
            upcoming.cancel()
