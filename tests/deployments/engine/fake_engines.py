"""Deployments that replace engines and their callers, in a module that replicas can import."""

import asyncio
import os
from collections.abc import Sequence

from ray.serve.handle import DeploymentHandle


class FakeEngine:
    """Knows no model: tells the process that was asked."""

    async def answer(self, seconds: float = 0.05) -> int:
        await asyncio.sleep(seconds)
        return os.getpid()


class FakeOrchestrator:
    """Makes all calls of one request."""

    def __init__(self, engine: DeploymentHandle) -> None:
        self._engine = engine

    async def ask(self, keys: Sequence[str], seconds: float = 0.05) -> list[int]:
        calls = [self._engine.options(session_id=key).answer.remote(seconds) for key in keys]
        return list(await asyncio.gather(*calls))

    async def give_up(self, keys: Sequence[str]) -> None:
        """Cancels calls that wait for room."""
        calls = [self._engine.options(session_id=key).answer.remote(1.0) for key in keys]
        await asyncio.sleep(0.3)
        for call in calls:
            call.cancel()

    async def engines(self) -> set[int]:
        return set(await self.ask([f"any {index}" for index in range(64)], 0.0))
