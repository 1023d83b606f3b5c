"""Text that is streamed while it is generated, across retries."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from pipeline.errors import EngineFailed, ReplicaLost
from pipeline.types import TextDelta

Result = TypeVar("Result")


class TextRelay:
    """Passes a text on while it is written, across attempts.

    A second attempt writes the text again, by the same seed; only what was not passed on yet is passed on.
    """

    def __init__(self, pass_on: Callable[[str], None]) -> None:
        self._pass_on = pass_on
        self._sent = ""
        self._written = ""

    def restart(self) -> None:
        self._written = ""

    def write(self, text: str) -> None:
        """Raises ReplicaLost when this attempt's text departs from what was passed on before."""
        self._written += text
        if len(self._written) <= len(self._sent):
            return
        self._check_same()
        self._pass_on(self._written[len(self._sent) :])
        self._sent = self._written

    def finish(self) -> None:
        """Says that the text is whole. Raises ReplicaLost when it is shorter than what was passed on."""
        self._check_same()

    def _check_same(self) -> None:
        if not self._written.startswith(self._sent):
            raise ReplicaLost("A replica was lost while the answer was written, and it came out differently then.")


async def end_of(pieces: AsyncIterator[TextDelta | Result], pass_on: Callable[[str], None] = lambda _: None) -> Result:
    """The end of a text that comes in pieces, each of which is passed on. Raises EngineFailed when it has none."""
    async for piece in pieces:
        if not isinstance(piece, TextDelta):
            return piece
        pass_on(piece.text)
    raise EngineFailed("The engine's text had no end; try again.")


async def relay_through(relay: TextRelay, pieces: AsyncIterator[TextDelta | Result]) -> Result:
    """Writes one attempt's text to `relay` and gives its end."""
    relay.restart()
    end = await end_of(pieces, relay.write)
    relay.finish()
    return end


async def relayed(work: Callable[[TextRelay], Awaitable[Result]]) -> AsyncIterator[str | Result]:
    """The pieces that `work` writes to its relay, as they come, then its result."""
    pieces: asyncio.Queue[str | None] = asyncio.Queue()
    task = asyncio.ensure_future(work(TextRelay(pieces.put_nowait)))
    task.add_done_callback(lambda _: pieces.put_nowait(None))
    try:
        while (piece := await pieces.get()) is not None:
            yield piece
        yield await task
    finally:
        task.cancel()
