"""Reading request bodies, within the operator's limits."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.types import Message, Receive

from pipeline.config import SourceSettings
from pipeline.errors import InvalidRequest, SourceTooLarge

FIELDS_BYTES = 1024**2
"""For everything in a body that is not the video."""
MAX_FORM_FIELDS = 64


async def read_json(request: Request, settings: SourceSettings) -> dict[str, Any]:
    """The body, which is a JSON object. Raises InvalidRequest or SourceTooLarge."""
    limit = FIELDS_BYTES + settings.max_data_url_bytes * 4 // 3  # base64
    check_content_length(request, limit)
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > limit:
            raise _too_large(limit)
    try:
        value = json.loads(body)
    except ValueError as error:
        raise InvalidRequest(f"The body is not JSON ({error}).") from None
    except RecursionError:
        raise InvalidRequest("The body is nested too deeply; its fields are plain values and short lists.") from None
    if not isinstance(value, dict):
        raise InvalidRequest(f"The body is a JSON {type(value).__name__}; send an object.")
    return value


@asynccontextmanager
async def read_form(request: Request, settings: SourceSettings) -> AsyncIterator[FormData]:
    """A multipart body; its files are on disk where they are large. Raises InvalidRequest or SourceTooLarge."""
    limit = settings.max_video_bytes + FIELDS_BYTES
    check_content_length(request, limit)
    limited = Request(request.scope, _limited(request.receive, limit))  # a length need not be declared, or true
    async with limited.form(max_files=1, max_fields=MAX_FORM_FIELDS, max_part_size=FIELDS_BYTES) as form:
        yield form


def from_form(value: Any) -> Any:
    """A form's fields are texts: one that is JSON stands for what it says. For pydantic, before it validates."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value


def uploaded_file(form: FormData) -> UploadFile | None:
    """The one file among a form's fields."""
    return next((value for _, value in form.multi_items() if isinstance(value, UploadFile)), None)


def is_multipart(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("multipart/form-data")


def check_content_length(request: Request, limit_bytes: int) -> None:
    """Raises SourceTooLarge before the body is read."""
    if declared_bytes(request) > limit_bytes:
        raise _too_large(limit_bytes)


def declared_bytes(request: Request) -> int:
    """The body's length as the client tells it; 0 where it does not."""
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isascii() and declared.isdigit() else 0


def _limited(receive: Receive, limit_bytes: int) -> Receive:
    received = 0

    async def counted() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > limit_bytes:
            raise _too_large(limit_bytes)
        return message

    return counted


def _too_large(limit_bytes: int) -> SourceTooLarge:
    return SourceTooLarge(
        f"The request's body is larger than the {limit_bytes} bytes allowed here. Give large videos by URL or upload "
        "them to /v1/files."
    )
