"""Server-sent events."""

import json
from collections.abc import AsyncIterator
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent

KEEP_ALIVE_SECONDS = 15
"""Below the idle timeout of common proxies (60 s): minutes may pass until a long chunk is answered."""
_LINE_END = "\n"


def event(data: Any, name: str | None = None, *, number: int | None = None) -> bytes:
    """Encode one event. Clients resume a stream after the `number` of the last event that they received."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return ServerSentEvent(text, event=name, id=None if number is None else str(number), sep=_LINE_END).encode()


def event_stream(events: AsyncIterator[bytes]) -> EventSourceResponse:
    """Respond with encoded events, so that many listeners can share their bytes."""
    return EventSourceResponse(
        events,
        headers={"Cache-Control": "no-cache"},
        ping=KEEP_ALIVE_SECONDS,
        ping_message_factory=lambda: ServerSentEvent(comment="keep-alive", sep=_LINE_END),
    )
