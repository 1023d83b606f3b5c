"""Sends due webhooks until each is delivered or has run out of attempts."""

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
from pipeline.store import AsyncAnalysisStore, DueWebhook
from pipeline.threads import Threads
from pipeline.types import HttpUrl

PAUSE_SECONDS = 1.0
AT_ONCE = 4
"""Webhooks sent concurrently, so that a receiver that does not respond delays no other."""
_GONE = 410


class WebhookSender:
    """One per runner; the store gives each webhook to one of them at a time."""

    def __init__(self, store: AsyncAnalysisStore, settings: AppSettings) -> None:
        self._store = store
        self._settings = settings
        self._threads = Threads("webhook", max_threads=AT_ONCE)

    async def run(self) -> None:
        """Send webhooks until cancelled."""
        await asyncio.gather(*(self._send_all() for _ in range(AT_ONCE)))

    async def _send_all(self) -> None:
        while True:
            try:
                was_due = await self.send_one()
            except LongtakeError:
                logger.exception("sending a webhook failed")
                was_due = False
            if not was_due:
                await asyncio.sleep(PAUSE_SECONDS)

    async def send_one(self) -> bool:
        """Send a due webhook; return False if there is none. Raises StoreFailed."""
        due = await self._store.webhooks.claim(lease_seconds=4 * TIMEOUT_SECONDS)
        if due is None:
            return False
        try:
            await self._post(due)
            is_settled = True
        except SourceForbidden as error:
            logger.warning("the webhook of %s is not allowed: %s", due.analysis_id, error.message)
            is_settled = True
        except (PostFailed, LongtakeError) as error:
            logger.warning("the webhook of %s failed, attempt %d: %s", due.analysis_id, due.attempt, error)
            is_settled = due.attempt >= self._settings.store.webhook_attempts
        if is_settled:
            await self._store.webhooks.settle(due.analysis_id)
        else:
            await self._store.webhooks.postpone(due.analysis_id, pause_seconds=pause_seconds(due.attempt))
        return True

    async def _post(self, due: DueWebhook) -> None:
        """Raises PostFailed unless the receiver accepts the webhook, or answers that it wants none."""
        secret = self._settings.store.webhook_secret
        if secret is None:  # it was set when the request came
            raise PostFailed("store.webhook_secret is no longer set")
        record = await self._store.analyses.get(due.analysis_id)
        sent_at = int(time.time())
        content = {
            "type": f"analysis.{due.status}",
            "timestamp": datetime.fromtimestamp(record.completed_at or sent_at, UTC).isoformat(),
            "data": summary_of(record).model_dump(mode="json"),
        }
        body = json.dumps(content, ensure_ascii=False).encode()
        headers = signed_headers(secret.get_secret_value(), due.analysis_id, sent_at, body)
        url = HttpUrl.parse(due.url)
        status = await self._threads.run(
            post, url, headers, body, self._settings.sources, timeout_seconds=TIMEOUT_SECONDS
        )
        if status != _GONE and not 200 <= status < 300:
            raise PostFailed(f"answered {status}")
