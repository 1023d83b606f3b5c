"""Sends the webhooks that are due, until each has arrived or was tried often enough."""

import asyncio
import json
import time
from datetime import UTC, datetime

from deployments.config import AppSettings
from deployments.jobs.webhook_signing import TIMEOUT_SECONDS, pause_seconds, signed_headers
from deployments.logs import logger
from deployments.wire.stored_bodies import summary_of
from pipeline.errors import LongtakeError, SourceForbidden
from pipeline.sources import PostFailed, post
from pipeline.store import AnalysisStore, DueWebhook
from pipeline.types import HttpUrl

PAUSE_SECONDS = 1.0
AT_ONCE = 4
"""One receiver that does not answer keeps no other's waiting."""
_GONE = 410


class WebhookSender:
    """Every runner is one; the store has each webhook sent by one of them at a time."""

    def __init__(self, store: AnalysisStore, settings: AppSettings) -> None:
        self._store = store
        self._settings = settings

    async def run(self) -> None:
        """Goes on until it is cancelled."""
        await asyncio.gather(*(self._send_for_ever() for _ in range(AT_ONCE)))

    async def _send_for_ever(self) -> None:
        while True:
            try:
                was_due = await asyncio.to_thread(self.send_one)
            except LongtakeError:
                logger.exception("a webhook could not be sent")
                was_due = False
            if not was_due:
                await asyncio.sleep(PAUSE_SECONDS)

    def send_one(self) -> bool:
        """Whether one was due. Raises StoreFailed."""
        due = self._store.webhooks.claim(lease_seconds=4 * TIMEOUT_SECONDS)
        if due is None:
            return False
        try:
            arrived = self._post(due)
        except SourceForbidden as error:
            logger.warning("the webhook of %s is given up: %s", due.analysis_id, error.message)
            arrived = True
        except (PostFailed, LongtakeError) as error:
            logger.warning("the webhook of %s did not arrive, attempt %d: %s", due.analysis_id, due.attempt, error)
            arrived = False
        if arrived or due.attempt >= self._settings.store.webhook_attempts:
            self._store.webhooks.settle(due.analysis_id)
        else:
            self._store.webhooks.postpone(due.analysis_id, pause_seconds=pause_seconds(due.attempt))
        return True

    def _post(self, due: DueWebhook) -> bool:
        """Whether the receiver has it, or says that it never wants one again."""
        secret = self._settings.store.webhook_secret
        if secret is None:  # it was there when the webhook was taken
            raise PostFailed("store.webhook_secret is no longer set")
        record = self._store.analyses.get(due.analysis_id)
        sent_at = int(time.time())
        told = {
            "type": f"analysis.{due.status}",
            "timestamp": datetime.fromtimestamp(record.completed_at or sent_at, UTC).isoformat(),
            "data": summary_of(record, self._store).model_dump(mode="json"),
        }
        body = json.dumps(told, ensure_ascii=False).encode()
        headers = signed_headers(secret.get_secret_value(), due.analysis_id, sent_at, body)
        url = HttpUrl.parse(due.url)
        status = post(url, headers, body, self._settings.sources, timeout_seconds=TIMEOUT_SECONDS)
        if status != _GONE and not 200 <= status < 300:
            raise PostFailed(f"answered {status}")
        return True
