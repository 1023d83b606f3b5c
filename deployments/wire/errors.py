"""Every failure as `{"error": {"type", "message", "param"}}` with a status that fits."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from deployments.logs import logger
from deployments.serving.ray_errors import INTERNAL_ERROR, own_error
from pipeline import errors

STATUS: dict[type[errors.LongtakeError], int] = {
    errors.InvalidRequest: 400,
    errors.UnknownModel: 404,
    errors.AnalysisNotFound: 404,
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
    errors.DeadlineExceeded: 504,
    errors.StoreFailed: 503,
    errors.LeaseLost: 503,
    errors.LongtakeError: 500,
}
RETRY_AFTER_SECONDS = 5
"""Within it a chunk or two are answered."""
INTERNAL_MESSAGE = "The server failed; its log has the reason under this response's X-Request-ID."


class ErrorDetail(BaseModel):
    type: str
    message: str
    """What was got, what is allowed and what to do."""
    param: str | None


class ErrorBody(BaseModel):
    error: ErrorDetail


def error_body(error: Exception) -> dict[str, Any]:
    """The body for a failure of ours, or for one that nobody expected."""
    error = own_error(error)
    if isinstance(error, errors.LongtakeError):
        return plain_error(error.type_name(), error.message, error.param)
    return plain_error(INTERNAL_ERROR, INTERNAL_MESSAGE)


def invalid_request(
    error: ValidationError, allowed: Sequence[str] = (), *, tags: frozenset[str] = frozenset()
) -> errors.InvalidRequest:
    """What pydantic found wrong, as one error that names the first field at fault and describes all.

    `tags` tell the members of lists apart, and are no part of the place that a client knows.
    """
    found: list[Any] = [dict(item) for item in error.errors(include_url=False, include_context=False)]
    for item in found:
        place = item["loc"]
        item["loc"] = tuple(
            part
            for before, part in zip((None, *place), place, strict=False)
            if part not in tags or type(before) is not int
        )
    messages = [_describe(item, allowed) for item in found]
    return errors.InvalidRequest("; ".join(messages) + ".", param=_param(found[0]))


def error_response(error: errors.LongtakeError) -> JSONResponse:
    """The whole response for a failure of ours."""
    own = own_error(error)
    assert isinstance(own, errors.LongtakeError)
    headers = {"Retry-After": str(RETRY_AFTER_SECONDS)} if isinstance(own, errors.EngineBusy) else None
    return JSONResponse(error_body(own), STATUS[type(own)], headers)


def plain_error(kind: str, message: str, param: str | None = None) -> dict[str, Any]:
    """The body for what is no exception of ours."""
    return {"error": {"type": kind, "message": message, "param": param}}


def add_error_handlers(app: FastAPI) -> None:
    """Makes every failure of `app` answer in this shape."""

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
        return JSONResponse(plain_error(kind, message), error.status_code)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        logger.exception("%s %s failed", request.method, request.url.path, exc_info=error)
        return JSONResponse(error_body(error), 500)


def _param(item: Any) -> str | None:
    return ".".join(str(part) for part in item["loc"]) or None


def _describe(item: Any, allowed: Sequence[str]) -> str:
    param, got = _param(item), repr(item["input"])[:80]
    if item["type"] == "extra_forbidden":
        is_top_level = len(item["loc"]) == 1
        return f"{param} is not a field" + (f"; the fields are {', '.join(allowed)}" if is_top_level else "")
    if item["type"] == "missing":
        return f"{param} is missing"
    message: str = item["msg"].removeprefix("Value error, ")
    if param is None:
        return message
    return f"{param} is {got}; {message[0].lower()}{message[1:]}"
