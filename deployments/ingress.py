"""Ingress: HTTP in, events of the Orchestrator out."""

from collections.abc import AsyncIterator
from dataclasses import replace
from importlib.metadata import version

from fastapi import FastAPI
from pydantic import BaseModel
from ray import serve
from ray.serve.handle import DeploymentHandle

from deployments.api import estimates, files, health, native, openai, resumable, runpod, stored
from deployments.api.documentation import ERROR_RESPONSES, add_documentation
from deployments.api.event_feeds import EventFeeds
from deployments.api.page import add_page
from deployments.api.request_spans import RequestSpans, begin_trail
from deployments.api.service import Service
from deployments.config import AppSettings
from deployments.model_choice import ModelChoice
from deployments.serving.body_flow import PacedBodies, warn_if_unpaced
from deployments.wire.errors import add_error_handlers
from pipeline.analysis import AnalysisEvent, AnalysisJob, Estimate
from pipeline.sources import open_resumable_uploads, open_upload_store
from pipeline.store import AsyncAnalysisStore, open_store


def build_http_app() -> FastAPI:
    """All routes. They find the replica's Service through `deployments.api.service`."""
    app = FastAPI(title="Longtake", summary="Answers about videos of any length.", version=version("longtake"))
    app.add_middleware(PacedBodies)
    add_error_handlers(app)
    app.add_middleware(RequestSpans)
    # One of the routes of files would take those of resumable.
    for dialect in (native, stored, estimates, openai, runpod, resumable, files, health):
        app.include_router(dialect.router, responses=ERROR_RESPONSES)
    add_page(app)
    bodies: list[type[BaseModel]] = [
        native.AnalysisRequest,
        estimates.EstimateRequest,
        openai.ChatCompletionRequest,
        runpod.JobRequest,
        files.FileFields,
    ]
    add_documentation(app, bodies=bodies)
    return app


@serve.ingress(build_http_app)
class Ingress:
    """Speaks HTTP. Sees requests and answers, never frames."""

    def __init__(
        self, orchestrator: DeploymentHandle, runner: DeploymentHandle, settings: AppSettings, choice: ModelChoice
    ) -> None:
        warn_if_unpaced()
        store = AsyncAnalysisStore(open_store(settings.store))
        self.service = Service(
            settings=settings,
            model=choice,
            uploads=open_upload_store(settings.sources),
            resumable_uploads=open_resumable_uploads(settings.sources),
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
        events: AsyncIterator[AnalysisEvent] = self._stream.analyze.remote(replace(job, trail=begin_trail(job.trail)))
        return events

    async def estimate(self, job: AnalysisJob) -> Estimate:
        estimate: Estimate = await self._handle.estimate.remote(job)
        return estimate

    async def max_model_len(self) -> int:
        return int(await self._handle.max_model_len.remote())

    async def check_ready(self) -> None:
        await self._handle.check_ready.remote()
