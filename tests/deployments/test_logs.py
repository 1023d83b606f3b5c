"""Log lines carry the id of their analysis and chunk."""

from __future__ import annotations

import asyncio
import logging

import pytest

from deployments.logs import current_trail
from deployments.telemetry.tracing import stage
from pipeline.types import NO_TRAIL, Trail


def test_lines_say_whose_they_are(caplog: pytest.LogCaptureFixture) -> None:
    logger = logging.getLogger("ray.serve")
    with caplog.at_level(logging.INFO):
        with stage("chunk", Trail("analysis-1", chunk_index=3)):
            logger.info("within")
        logger.info("after")
    within, after = (vars(record) for record in caplog.records)
    assert (within["analysis_id"], within["chunk_index"]) == ("analysis-1", 3)
    assert not {"analysis_id", "chunk_index"} & after.keys()


async def test_tasks_do_not_share_a_trail() -> None:
    async def work(analysis_id: str) -> str | None:
        with stage("work", Trail(analysis_id)):
            await asyncio.sleep(0)
            return current_trail().analysis_id

    assert await asyncio.gather(*(work(str(number)) for number in range(3))) == ["0", "1", "2"]
    assert current_trail() == NO_TRAIL
