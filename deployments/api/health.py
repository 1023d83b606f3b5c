"""Liveness and readiness."""

from typing import Literal

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from deployments.api.service import ServiceDependency
from deployments.wire.errors import error_body, with_retry_after
from pipeline.errors import LongtakeError

router = APIRouter(tags=["health"])


class LiveBody(BaseModel):
    status: Literal["live"] = "live"


class ReadyBody(BaseModel):
    status: Literal["ready"] = "ready"
    model: str


@router.get("/health/live")
async def live() -> LiveBody:
    """Return 200 as soon as the process responds."""
    return LiveBody()


@router.get("/health/ready", response_model=ReadyBody)
async def ready(service: ServiceDependency) -> ReadyBody | JSONResponse:
    """Return 200 after the engine has generated a token, and 503 if it could not."""
    try:
        await service.check_ready()
    except LongtakeError as error:
        return with_retry_after(JSONResponse(error_body(error), 503))
    return ReadyBody(model=service.model.served_model_name)
