"""Routes of a dialect: rendered errors, headers of every response, preconditions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import JSONResponse
from fastapi.testclient import TestClient
from ray.exceptions import RayTaskError

from deployments.api.dialect_route import dialect_route
from deployments.wire.errors import error_response
from pipeline.errors import EngineBusy, InvalidRequest


def plain(error: Any) -> JSONResponse:
    return error_response(error, {"error": error.type_name()})


def refuse_without_token(request: Request) -> JSONResponse | None:
    return None if "token" in request.headers else JSONResponse({"error": "no token"}, 412)


@pytest.fixture
def client() -> Iterator[TestClient]:
    route_class = dialect_route(plain, headers={"Dialect-Version": "2"}, precondition=refuse_without_token)
    router = APIRouter(route_class=route_class)
    failures = {
        "ours": InvalidRequest("fps is 0", param="fps"),
        "busy": RayTaskError("analyze", "Traceback", EngineBusy("full")).as_instanceof_cause(),
    }

    @router.get("/{name}")
    async def route(name: str) -> dict[str, str]:
        if name in failures:
            raise failures[name]
        return {"name": name}

    app = FastAPI()
    app.include_router(router)
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize(
    ("path", "headers", "status", "body"),
    [
        ("/cat", {"token": "1"}, 200, {"name": "cat"}),
        ("/ours", {"token": "1"}, 400, {"error": "invalid_request"}),
        ("/busy", {"token": "1"}, 429, {"error": "engine_busy"}),
        ("/cat", {}, 412, {"error": "no token"}),
    ],
)
def test_every_response_is_the_dialects(
    path: str, headers: dict[str, str], status: int, body: object, client: TestClient
) -> None:
    response = client.get(path, headers=headers)
    assert (response.status_code, response.json()) == (status, body)
    assert response.headers["dialect-version"] == "2"
    assert ("retry-after" in response.headers) == (status == 429)
