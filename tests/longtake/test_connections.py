"""What goes over the wire, on transports without a network."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from longtake import AnswerEvent, ServerError, ServerEvent, ServerUnreachable
from longtake.connections import AsyncConnection, Connection
from longtake.requests import Request
from tests.longtake.bodies import ANALYSIS

REQUEST = Request("GET", "/events")
SSE = {"Content-Type": "text/event-stream"}
LINE_ENDS = "a line\u2028and a paragraph\u2029and\x85more"
"""Ends of lines for Python, characters like others in an event stream."""


def wire(*events: tuple[str, object], ids: bool = False) -> bytes:
    """Events as the server writes them, a comment after each to keep the connection alive."""
    blocks = [
        (f"id: {number}\n" if ids else "") + f"event: {name}\ndata: {json.dumps(body, ensure_ascii=False)}\n\n: .\n\n"
        for number, (name, body) in enumerate(events, 1)
    ]
    return "".join(blocks).encode()


class Piecewise(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body in pieces of three bytes, which may break before its end."""

    def __init__(self, content: bytes, *, breaks: bool = False) -> None:
        self._content, self._breaks = content, breaks

    def __iter__(self) -> Iterator[bytes]:
        for place in range(0, len(self._content), 3):
            yield self._content[place : place + 3]
        if self._breaks:
            raise httpx.RemoteProtocolError("peer closed connection")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


async def events_of(response: httpx.Response) -> list[ServerEvent]:
    """What both connections read from it, which is the same."""
    content, headers = response.stream, response.headers
    transport = httpx.MockTransport(
        lambda request: httpx.Response(response.status_code, headers=headers, stream=content)
    )
    connection, async_connection = Connection("http://a", None, transport), AsyncConnection("http://a", None, transport)
    outcomes: list[list[ServerEvent] | ServerError] = []
    try:
        outcomes.append(list(connection.events(REQUEST)))
    except ServerError as error:
        outcomes.append(error)
    try:
        outcomes.append([event async for event in async_connection.events(REQUEST)])
    except ServerError as error:
        outcomes.append(error)
    connection.close()
    await async_connection.close()
    first, second = outcomes
    if isinstance(first, ServerError):
        assert (type(first), str(first)) == (type(second), str(second))
        raise first
    assert first == second
    return first


async def test_text_arrives_as_it_was_sent() -> None:
    content = wire(("delta", {"text": LINE_ENDS}), ("answer", ANALYSIS))
    delta, answer = await events_of(httpx.Response(200, headers=SSE, stream=Piecewise(content)))
    assert delta.data == {"text": LINE_ENDS}
    assert isinstance(answer, AnswerEvent) and answer.answer.raw == ANALYSIS


async def test_comments_are_no_events() -> None:
    content = b": .\n\n" + wire(("delta", {"text": "x"}), ("answer", ANALYSIS), ids=True)
    events = await events_of(httpx.Response(200, headers=SSE, stream=Piecewise(content)))
    assert [(event.name, event.id) for event in events] == [("delta", "1"), ("answer", "2")]


@pytest.mark.parametrize(("breaks", "reason"), [(False, "before the last event"), (True, "peer closed connection")])
async def test_a_stream_without_a_last_event_has_broken(breaks: bool, reason: str) -> None:
    content = wire(("delta", {"text": "x"}))
    with pytest.raises(ServerUnreachable, match=reason):
        await events_of(httpx.Response(200, headers=SSE, stream=Piecewise(content, breaks=breaks)))


async def test_what_is_no_stream_is_refused() -> None:
    with pytest.raises(ServerUnreachable, match="text/html"):
        await events_of(httpx.Response(200, headers={"Content-Type": "text/html"}, stream=Piecewise(b"<html>")))


async def test_an_error_response_is_raised() -> None:
    body = json.dumps({"error": {"type": "source_not_found", "message": "No such video.", "param": "video_url"}})
    with pytest.raises(ServerError, match="No such video") as caught:
        await events_of(httpx.Response(404, stream=Piecewise(body.encode())))
    assert (caught.value.status, caught.value.param) == (404, "video_url")
