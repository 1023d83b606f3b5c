"""OpenAI's dialect: `POST /v1/chat/completions` and `GET /v1/models`, for videos of any length."""

import time
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from deployments.api.dialect_route import dialect_route
from deployments.api.documentation import json_body
from deployments.api.driving import answer
from deployments.api.openai_replies import ChatReply, coded_error, with_code
from deployments.api.openai_requests import ChatCompletionRequest, chat_completion_request, question_of
from deployments.api.service import Service, ServiceDependency
from deployments.wire.errors import plain_error
from deployments.wire.request_bodies import read_json

router = APIRouter(tags=["openai"], route_class=dialect_route(coded_error))

_STARTED = int(time.time())
_ALTERNATIVES = {
    "/v1/responses": "POST /v1/chat/completions takes the same question, with the video as a video_url part",
    "/v1/completions": "POST /v1/chat/completions takes the same question, with the video as a video_url part",
    "/v1/embeddings": "Longtake answers questions about videos, by POST /v1/chat/completions",
    "/v1/uploads": "send large files to /v1/files/uploads by tus 1.0, and smaller ones to /v1/files",
    "/v1/batches": "POST /v1/analyses?wait=false returns at once, and its result can be fetched later",
}


class ModelBody(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "longtake"
    parent: str | None = None
    """The model that a LoRA adapter adapts."""
    max_model_len: int
    notice: str | None
    """What users must know about this model."""


class ModelListBody(BaseModel):
    object: Literal["list"] = "list"
    data: list[ModelBody]


@router.get("/v1/models")
async def list_models(service: ServiceDependency) -> ModelListBody:
    """List the served model and its LoRA adapters."""
    names = (service.model.served_model_name, *service.model.lora_adapters)
    return ModelListBody(data=[await _model(service, name) for name in names])


@router.get("/v1/models/{model:path}")
async def get_model(model: str, service: ServiceDependency) -> ModelBody:
    """Return the served model, or one of its LoRA adapters."""
    service.model.adapter(model)
    return await _model(service, model)


async def explain_unsupported(request: Request) -> JSONResponse:
    """Respond 404 and name the alternative to a route of OpenAI's API."""
    path = request.url.path
    body = plain_error("not_found", f"{request.method} {path} is not served here: {_ALTERNATIVES[path]}.")
    return JSONResponse(with_code(body), 404)


for _path in _ALTERNATIVES:
    router.add_api_route(_path, explain_unsupported, methods=["GET", "POST"], include_in_schema=False)


@router.post("/v1/chat/completions", openapi_extra=json_body(ChatCompletionRequest))
async def create_chat_completion(http_request: Request, service: ServiceDependency) -> Any:
    """Answer a user message that contains a video. The field `longtake` describes what the answer covers."""
    request = chat_completion_request(await read_json(http_request, service.settings.sources))
    service.model.adapter(request.model)  # an unknown model is reported before anything about the messages
    return await answer(
        question_of(request), service, lambda job: ChatReply(job, service.model, request), stream=request.stream
    )


async def _model(service: Service, name: str) -> ModelBody:
    return ModelBody(
        id=name,
        created=_STARTED,
        parent=service.model.served_model_name if service.model.adapter(name) else None,
        max_model_len=await service.orchestrator.max_model_len(),
        notice=service.model.notice,
    )
