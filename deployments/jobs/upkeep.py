"""What the store needs done from time to time."""

import asyncio

from deployments.logs import logger
from pipeline.errors import LongtakeError
from pipeline.sources import UploadStore, delete_if_present
from pipeline.store import AnalysisStore

PAUSE_SECONDS = 5.0


class StoreUpkeep:
    """Every runner does it; what another one has done already is not there any more."""

    def __init__(self, store: AnalysisStore, uploads: UploadStore) -> None:
        self._upkeep = store.upkeep
        self._uploads = uploads

    async def run(self) -> None:
        """Goes on until it is cancelled."""
        while True:
            try:
                await asyncio.to_thread(self.sweep)
            except LongtakeError:
                logger.exception("the store of analyses could not be swept")
            await asyncio.sleep(PAUSE_SECONDS)

    def sweep(self) -> None:
        """Deletes uploads of analyses that have ended, and results that have expired. Raises ServiceError."""
        self._upkeep.fail_forgotten()
        for analysis_id, file_id in self._upkeep.uploads_of_ended():
            delete_if_present(self._uploads, file_id)
            self._upkeep.upload_is_gone(analysis_id)
        while self._upkeep.delete_expired():
            pass
