"""Ingress: the HTTP server."""

from importlib.metadata import version

from fastapi import Depends, FastAPI
from pydantic import BaseModel
from ray import serve
from ray.serve.handle import DeploymentHandle

from deployments.api import (
    estimates,
    exports,
    files,
    health,
    native,
    openai,
    openai_requests,
    runpod,
    stored_analyses,
    tus_uploads,
)
from deployments.api.documentation import ERROR_RESPONSES, add_documentation
from deployments.api.event_feeds import EventFeeds
from deployments.api.page import add_page
from deployments.api.request_spans import RequestSpans
from deployments.api.service import Service
from deployments.config import AppSettings
from deployments.model_choice import ModelChoice
from deployments.orchestrator_client import OrchestratorHandle
from deployments.serving.body_flow import PacedBodies, warn_if_unpaced
from deployments.serving.event_loops import EventLoopHealth
from deployments.serving.ray_token import keep_ray_token_private
from deployments.wire.errors import add_error_handlers
from deployments.wire.request_texts import check_request_line
from pipeline.sources import open_resumable_uploads, open_upload_store
from pipeline.store import AsyncAnalysisStore, open_store


def build_http_app() -> FastAPI:
    """Build the application with all routes. They get the replica's Service from `deployments.api.service`."""
    app = FastAPI(
        title="Longtake",
        summary="Answers about videos of any length.",
        version=version("longtake"),
        dependencies=[Depends(check_request_line)],
    )
    app.add_middleware(PacedBodies)
    add_error_handlers(app)
    app.add_middleware(RequestSpans)
    # tus_uploads before files: `/v1/files/{file_id}` would match `/v1/files/uploads`.
    for dialect in (native, stored_analyses, exports, estimates, openai, runpod, tus_uploads, files, health):
        app.include_router(dialect.router, responses=ERROR_RESPONSES)
    add_page(app)
    bodies: list[type[BaseModel]] = [
        native.AnalysisRequest,
        estimates.EstimateRequest,
        openai_requests.ChatCompletionRequest,
        runpod.JobRequest,
        files.FileFields,
    ]
    add_documentation(app, bodies=bodies)
    return app


@serve.ingress(build_http_app)
class Ingress(EventLoopHealth):
    """Serves HTTP. It handles requests and answers, never frames."""

    def __init__(
        self, orchestrator: DeploymentHandle, runner: DeploymentHandle, settings: AppSettings, choice: ModelChoice
    ) -> None:
        warn_if_unpaced()
        keep_ray_token_private()
        store = AsyncAnalysisStore(open_store(settings.store))
        self.service = Service(
            settings=settings,
            model=choice,
            uploads=open_upload_store(settings.sources),
            resumable_uploads=open_resumable_uploads(settings.sources),
            orchestrator=OrchestratorHandle(orchestrator),
            analysis_store=store,
            feeds=EventFeeds(store),
            wake_runner=runner.wake.remote,
        )
