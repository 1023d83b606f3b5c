"""Render errors as `{"error": {"type", "message", "param"}}` with an HTTP status."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from deployments.logs import logger
from deployments.serving.ray_errors import INTERNAL_ERROR, own_error
from pipeline import errors
from pipeline.unicode import encodable

STATUS: dict[type[errors.LongtakeError], int] = {
    errors.InvalidRequest: 400,
    errors.UnknownModel: 404,
    errors.AnalysisNotFound: 404,
    errors.AnalysisNotCompleted: 409,
    errors.IdempotencyConflict: 422,
    errors.SourceError: 424,
    errors.SourceNotFound: 404,
    errors.SourceForbidden: 403,
    errors.SourceTooLarge: 413,
    errors.UploadStoreFull: 413,
    errors.UploadConflict: 409,
    errors.SourceUnavailable: 424,
    errors.SourceChanged: 409,
    errors.VideoError: 422,
    errors.UnsupportedMedia: 415,
    errors.UnreadableVideo: 422,
    errors.VideoTooLong: 413,
    errors.DecodeFailed: 422,
    errors.ServiceError: 500,
    errors.EngineFailed: 500,
    errors.EngineDied: 503,
    errors.EngineBusy: 429,
    errors.ReplicaLost: 503,
    errors.RequestPoisoned: 500,
    errors.DeadlineExceeded: 504,
    errors.StoreFailed: 503,
    errors.LeaseLost: 503,
    errors.LongtakeError: 500,
}
RETRY_AFTER_SECONDS = 5
"""The time that one or two chunks usually take."""
INTERNAL_MESSAGE = "The server failed; its log has the reason under this response's X-Request-ID."


class ErrorDetail(BaseModel):
    type: str
    message: str
    """What the request contained, what is allowed, and what to do."""
    param: str | None


class ErrorBody(BaseModel):
    error: ErrorDetail


def error_body(error: Exception) -> dict[str, Any]:
    """Return the body for one of our errors; any other exception becomes an internal error without details."""
    error = own_error(error)
    if isinstance(error, errors.LongtakeError):
        return plain_error(error.type_name(), error.message, error.param)
    return plain_error(INTERNAL_ERROR, INTERNAL_MESSAGE)


def error_response(error: errors.LongtakeError, body: Mapping[str, Any] | None = None) -> JSONResponse:
    """Return the response for one of our errors: its status, its headers, and `body` or by default its own body."""
    own = own_error(error)
    assert isinstance(own, errors.LongtakeError)
    return with_retry_after(JSONResponse(body or error_body(own), STATUS[type(own)]))


def with_retry_after(response: JSONResponse) -> JSONResponse:
    """Return `response`, with `Retry-After` if its status asks the client to retry (429, 503)."""
    if response.status_code in (429, 503):
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def plain_error(kind: str, message: str, param: str | None = None) -> dict[str, Any]:
    """Return the body for an error that is not one of our exceptions."""
    return {"error": {"type": kind, "message": encodable(message), "param": param}}


def add_error_handlers(app: FastAPI) -> None:
    """Make `app` render every error in this format."""

    @app.exception_handler(errors.LongtakeError)
    async def ours(request: Request, error: errors.LongtakeError) -> JSONResponse:
        return error_response(error)

    @app.exception_handler(RequestValidationError)
    async def parameters(request: Request, error: RequestValidationError) -> JSONResponse:
        found = error.errors()[0]
        name = str(found["loc"][-1])
        message = f"{name} is {found['input']!r:.80}; {found['msg'][0].lower()}{found['msg'][1:]}."
        return error_response(errors.InvalidRequest(message, param=name))

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        kind = "not_found" if error.status_code == 404 else "invalid_request"
        message = f"{request.method} {request.url.path}: {error.detail}. The routes are listed at /docs."
        return with_retry_after(JSONResponse(plain_error(kind, message), error.status_code))

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        logger.exception("%s %s failed", request.method, request.url.path, exc_info=error)
        return JSONResponse(error_body(error), 500)
