"""Bodies that routes read themselves, in the OpenAPI document."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from pydantic import BaseModel

from deployments.api.documentation import ERROR_RESPONSES, add_documentation, form_body, json_body, json_or_form_body


class AskedBody(BaseModel):
    prompt: str


REFERENCE = {"$ref": "#/components/schemas/AskedBody"}


def test_a_json_body_refers_to_its_model() -> None:
    assert json_body(AskedBody)["requestBody"]["content"] == {"application/json": {"schema": REFERENCE}}


def test_a_form_has_its_file_beside_the_fields() -> None:
    (schema,) = form_body("video", AskedBody)["requestBody"]["content"].values()
    assert schema["schema"]["allOf"][0] == REFERENCE
    assert schema["schema"]["allOf"][1]["properties"] == {"video": {"type": "string", "format": "binary"}}
    (alone,) = form_body("file")["requestBody"]["content"].values()
    assert alone["schema"]["required"] == ["file"]


def test_a_body_may_come_as_either() -> None:
    content = json_or_form_body(AskedBody, "video")["requestBody"]["content"]
    assert set(content) == {"application/json", "multipart/form-data"}


def test_models_are_added_to_the_document_once() -> None:
    app = FastAPI(responses=ERROR_RESPONSES)

    @app.post("/ask", openapi_extra=json_body(AskedBody))
    async def ask(request: Request) -> None: ...

    add_documentation(app, bodies=[AskedBody])
    with TestClient(app) as client:
        first, second = (client.get("/openapi.json").json() for _ in range(2))
    assert first == second
    assert set(first["components"]["schemas"]) >= {"AskedBody", "ErrorBody"}
    assert first["paths"]["/ask"]["post"]["requestBody"]["content"]["application/json"]["schema"] == REFERENCE
