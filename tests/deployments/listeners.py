"""A client of an event stream, at the other end of ASGI."""

from __future__ import annotations

import asyncio
from typing import Any

SCOPE: dict[str, Any] = {"type": "http", "method": "GET", "asgi": {"version": "3.0", "spec_version": "2.3"}}


class Listener:
    """A client at the other end of ASGI."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.body = b""
        self.left = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        await self.left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        self.body += message.get("body", b"")

    async def has(self, text: bytes) -> None:
        async with asyncio.timeout(5):
            while text not in self.body:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
