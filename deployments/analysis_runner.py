"""AnalysisRunner: runs stored analyses on the Orchestrator, and keeps the store in order."""

import asyncio

from ray.serve.handle import DeploymentHandle

from deployments.config import AppSettings
from deployments.jobs.stored_runs import StoredRuns
from deployments.jobs.upkeep import StoreUpkeep
from deployments.jobs.webhook_sender import WebhookSender
from deployments.model_choice import ModelChoice
from deployments.orchestrator_client import OrchestratorHandle
from pipeline.sources import open_upload_store
from pipeline.store import open_store


class AnalysisRunner:
    """Shares the work with any number of other replicas, by the store's leases."""

    def __init__(self, orchestrator: DeploymentHandle, settings: AppSettings, choice: ModelChoice) -> None:
        store = open_store(settings.store)
        self._runs = StoredRuns(store, OrchestratorHandle(orchestrator), settings.store, choice)
        upkeep = StoreUpkeep(store, open_upload_store(settings.sources))
        webhooks = WebhookSender(store, settings)
        self._tasks = [asyncio.ensure_future(work) for work in (self._runs.run(), upkeep.run(), webhooks.run())]

    async def wake(self) -> None:
        """Announce that an analysis waits. Otherwise the next poll finds it."""
        self._runs.wake()

    async def check_health(self) -> None:
        """Raise the error that ended the work; Serve then replaces this replica."""
        for task in self._tasks:
            if task.done():
                task.result()
