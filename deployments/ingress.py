"""Ingress: HTTP in, events of the Orchestrator out."""

from collections.abc import AsyncIterator
from importlib.metadata import version

from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from deployments.api import files, health, native, openai, stored
from deployments.api.documentation import ERROR_RESPONSES, add_documentation
from deployments.api.errors import add_error_handlers
from deployments.api.event_feeds import EventFeeds
from deployments.api.service import Service
from deployments.config import AppSettings
from deployments.model_choice import ModelChoice
from pipeline.analysis import AnalysisEvent, AnalysisJob
from pipeline.sources import open_upload_store
from pipeline.store import open_store


def build_http_app() -> FastAPI:
    """All routes. They find the replica's Service through `deployments.api.service`."""
    app = FastAPI(title="Longtake", summary="Answers about videos of any length.", version=version("longtake"))
    add_error_handlers(app)
    for dialect in (native, stored, openai, files, health):
        app.include_router(dialect.router, responses=ERROR_RESPONSES)
    add_documentation(app, bodies=[native.AnalysisRequest, openai.ChatCompletionRequest])
    return app


@serve.ingress(build_http_app)
class Ingress:
    """Speaks HTTP. Sees requests and answers, never frames."""

    def __init__(
        self, orchestrator: DeploymentHandle, runner: DeploymentHandle, settings: AppSettings, choice: ModelChoice
    ) -> None:
        store = open_store(settings.store)
        self.service = Service(
            settings=settings,
            model=choice,
            uploads=open_upload_store(settings.sources),
            orchestrator=_OrchestratorHandle(orchestrator),
            analysis_store=store,
            feeds=EventFeeds(store),
            wake_runner=runner.wake.remote,
        )


class _OrchestratorHandle:
    """The Orchestrator's methods, typed."""

    def __init__(self, handle: DeploymentHandle) -> None:
        self._handle = handle
        self._stream = handle.options(stream=True)

    def analyze(self, job: AnalysisJob) -> AsyncIterator[AnalysisEvent]:
        events: AsyncIterator[AnalysisEvent] = self._stream.analyze.remote(job)
        return events

    async def max_model_len(self) -> int:
        return int(await self._handle.max_model_len.remote())

    async def check_ready(self) -> None:
        await self._handle.check_ready.remote()
