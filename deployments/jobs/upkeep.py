"""Periodic housekeeping of the analysis store and of the uploads."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from deployments.logs import logger
from pipeline.sources import ResumableUploads, UploadStore, delete_if_present
from pipeline.store import AsyncAnalysisStore
from pipeline.threads import Threads

ANALYSIS_SWEEP_SECONDS = 5.0
UPLOAD_SWEEP_SECONDS = 600.0
"""Much longer, since a sweep lists all uploads."""


class StoreUpkeep:
    """Every runner sweeps; what another runner has deleted is simply gone."""

    def __init__(self, store: AsyncAnalysisStore, uploads: UploadStore, resumable_uploads: ResumableUploads) -> None:
        self._store = store.upkeep
        self._uploads = uploads
        self._resumable_uploads = resumable_uploads
        self._threads = Threads("upkeep", max_threads=2)

    async def run(self) -> None:
        """Sweep until cancelled."""
        await asyncio.gather(
            _repeat(self.sweep_analyses, ANALYSIS_SWEEP_SECONDS), _repeat(self.sweep_uploads, UPLOAD_SWEEP_SECONDS)
        )

    async def sweep_analyses(self) -> None:
        """Fail forgotten analyses, then delete the uploads of ended ones and what has expired. Raises ServiceError."""
        await self._store.fail_forgotten()
        for analysis_id, file_id in await self._store.uploads_of_ended():
            await self._threads.run(delete_if_present, self._uploads, file_id)
            await self._store.upload_is_gone(analysis_id)
        while await self._store.delete_expired():
            pass

    async def sweep_uploads(self) -> None:
        """Delete expired files and abandoned uploads. Raises ServiceError."""
        num_deleted = await self._threads.run(self._uploads.sweep)
        num_deleted += await self._threads.run(self._resumable_uploads.sweep)
        if num_deleted:
            logger.info("deleted %d expired or abandoned uploads", num_deleted)


async def _repeat(sweep: Callable[[], Coroutine[Any, Any, None]], pause_seconds: float) -> None:
    while True:
        try:
            await sweep()
        except Exception:  # the next sweep may succeed
            logger.exception("%s failed", sweep.__name__)
        await asyncio.sleep(pause_seconds)
