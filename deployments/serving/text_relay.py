"""Streams text while it is generated, across retries."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from pipeline.errors import EngineFailed, ReplicaLost
from pipeline.types import TextDelta

Result = TypeVar("Result")


class TextRelay:
    """Passes a text on while it is generated, across attempts.

    A second attempt generates the same text from the same seed; only the part that is new is passed on.
    """

    def __init__(self, pass_on: Callable[[str], None]) -> None:
        self._pass_on = pass_on
        self._sent = ""
        self._written = ""

    def restart(self) -> None:
        self._written = ""

    def write(self, text: str) -> None:
        """Append to this attempt's text. Raises ReplicaLost if it differs from the text that was passed on before."""
        self._written += text
        if len(self._written) <= len(self._sent):
            return
        self._check_same()
        self._pass_on(self._written[len(self._sent) :])
        self._sent = self._written

    def finish(self) -> None:
        """End this attempt's text. Raises ReplicaLost if it is shorter than the text that was passed on before."""
        self._check_same()

    def _check_same(self) -> None:
        if not self._written.startswith(self._sent):
            raise ReplicaLost(
                "A replica was lost while the answer was generated, and the retry came out differently; ask again."
            )


async def end_of(pieces: AsyncIterator[TextDelta | Result], pass_on: Callable[[str], None] = lambda _: None) -> Result:
    """Return the last element of a stream, after passing on the text before it. Raises EngineFailed without one."""
    async for piece in pieces:
        if not isinstance(piece, TextDelta):
            return piece
        pass_on(piece.text)
    raise EngineFailed("The engine's text had no end; try again.")


async def relay_through(relay: TextRelay, pieces: AsyncIterator[TextDelta | Result]) -> Result:
    """Write one attempt's text to `relay` and return the stream's last element."""
    relay.restart()
    end = await end_of(pieces, relay.write)
    relay.finish()
    return end


async def relayed(work: Callable[[TextRelay], Awaitable[Result]]) -> AsyncIterator[str | Result]:
    """Yield the pieces that `work` writes to its relay, then its result."""
    pieces: asyncio.Queue[str | None] = asyncio.Queue()
    task = asyncio.ensure_future(work(TextRelay(pieces.put_nowait)))
    task.add_done_callback(lambda _: pieces.put_nowait(None))
    try:
        while (piece := await pieces.get()) is not None:
            yield piece
        yield await task
    finally:
        task.cancel()
