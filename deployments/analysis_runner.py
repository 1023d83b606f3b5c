"""AnalysisRunner: runs stored analyses on the Orchestrator, and does the store's housekeeping."""

import asyncio

from ray.serve.handle import DeploymentHandle

from deployments.config import AppSettings
from deployments.jobs.leased_analyses import LeasedAnalyses
from deployments.jobs.upkeep import StoreUpkeep
from deployments.jobs.webhook_sender import WebhookSender
from deployments.model_choice import ModelChoice
from deployments.orchestrator_client import OrchestratorHandle
from pipeline.sources import open_resumable_uploads, open_upload_store
from pipeline.store import AsyncAnalysisStore, open_store


class AnalysisRunner:
    """Runs stored analyses. Any number of replicas share the work through the store's leases."""

    def __init__(self, orchestrator: DeploymentHandle, settings: AppSettings, choice: ModelChoice) -> None:
        store = AsyncAnalysisStore(open_store(settings.store))
        self._analyses = LeasedAnalyses(store, OrchestratorHandle(orchestrator), settings.store, choice)
        upkeep = StoreUpkeep(store, open_upload_store(settings.sources), open_resumable_uploads(settings.sources))
        webhooks = WebhookSender(store, settings)
        self._tasks = [asyncio.ensure_future(work) for work in (self._analyses.run(), upkeep.run(), webhooks.run())]

    async def wake(self) -> None:
        """Look for queued analyses now, a moment earlier than by polling."""
        self._analyses.wake()

    async def check_health(self) -> None:
        """Raise the error that ended the work, if any. Serve then replaces this replica."""
        for task in self._tasks:
            if task.done():
                task.result()
