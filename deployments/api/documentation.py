"""Add to FastAPI's OpenAPI document the bodies that routes read themselves."""

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from deployments.wire.errors import ErrorBody

_REFERENCE = "#/components/schemas/{model}"


ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorBody, "description": "The request, or its video, cannot be used."},
    "5XX": {"model": ErrorBody, "description": "The server failed."},
    422: {"model": ErrorBody, "description": "The video cannot be read."},
}


def json_body(model: type[BaseModel]) -> dict[str, Any]:
    """Return a route's `openapi_extra` for a JSON body that FastAPI does not parse."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": _reference(model)}}}}


def form_body(file_field: str, fields: type[BaseModel] | None = None) -> dict[str, Any]:
    """Return a route's `openapi_extra` for a form with a file and the fields of a model."""
    upload = {"type": "object", "properties": {file_field: {"type": "string", "format": "binary"}}}
    schema = {"allOf": [_reference(fields), upload]} if fields else upload | {"required": [file_field]}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def json_or_form_body(model: type[BaseModel], file_field: str) -> dict[str, Any]:
    content = [body["requestBody"]["content"] for body in (json_body(model), form_body(file_field, model))]
    return {"requestBody": {"required": True, "content": content[0] | content[1]}}


def add_documentation(app: FastAPI, bodies: list[type[BaseModel]]) -> None:
    """Add `bodies` to /openapi.json and /docs, where `json_body` and `form_body` refer to them."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            _, definitions = models_json_schema([(model, "validation") for model in bodies], ref_template=_REFERENCE)
            schema["components"]["schemas"] |= definitions["$defs"]
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # the way that FastAPI documents


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": _REFERENCE.format(model=model.__name__)}
