"""Reading request bodies, within the operator's limits."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.types import Message, Receive

from deployments.wire.request_texts import check_texts, find_unsafe, may_hold_unsafe
from pipeline.config import SourceSettings
from pipeline.errors import InvalidRequest, SourceTooLarge

FIELDS_BYTES = 1024**2
"""Limit for everything in a body except the video."""
MAX_FORM_FIELDS = 64


async def read_json(request: Request, settings: SourceSettings) -> dict[str, Any]:
    """Return the body, a JSON object. Raises InvalidRequest or SourceTooLarge."""
    limit = FIELDS_BYTES + settings.max_data_url_bytes * 4 // 3  # base64
    check_content_length(request, limit)
    body = bytearray()
    async for block in request.stream():
        body += block
        if len(body) > limit:
            raise _too_large(limit)
    try:
        text = body.decode(json.detect_encoding(body), "surrogatepass")  # as json.loads does
        value = json.loads(text)
    except ValueError as error:
        raise InvalidRequest(f"The body is not JSON ({error}).") from None
    except RecursionError:
        raise InvalidRequest("The body is nested too deeply; its fields are plain values and short lists.") from None
    if not isinstance(value, dict):
        raise InvalidRequest(f"The body is a JSON {type(value).__name__}; send an object.")
    if may_hold_unsafe(text):
        check_texts(value)
    return value


@asynccontextmanager
async def read_form(request: Request, settings: SourceSettings) -> AsyncIterator[FormData]:
    """Yield a multipart body; large files are spooled to disk. Raises InvalidRequest or SourceTooLarge."""
    limit = settings.max_video_bytes + FIELDS_BYTES
    check_content_length(request, limit)
    limited = Request(request.scope, _limited(request.receive, limit))  # Content-Length may be missing or wrong
    async with limited.form(max_files=1, max_fields=MAX_FORM_FIELDS, max_part_size=FIELDS_BYTES) as form:
        for name, value in form.multi_items():
            check_texts({name: value if isinstance(value, str) else value.filename})
        yield form


def from_form(value: Any) -> Any:
    """Parse a form field that may hold JSON. A BeforeValidator for pydantic: all form fields arrive as texts."""
    if not isinstance(value, str):
        return value
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return value
    if fault := find_unsafe(parsed):
        raise ValueError(f"{fault.description}; leave it out")
    return parsed


def form_fields(form: FormData) -> dict[str, str]:
    """Return the fields of a form that are not files."""
    return {name: value for name, value in form.items() if isinstance(value, str)}


def uploaded_file(form: FormData) -> UploadFile | None:
    """Return the one file of a form."""
    return next((value for _, value in form.multi_items() if isinstance(value, UploadFile)), None)


def is_multipart(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("multipart/form-data")


def check_content_length(request: Request, limit_bytes: int) -> None:
    """Raise SourceTooLarge before the body is read."""
    if declared_bytes(request) > limit_bytes:
        raise _too_large(limit_bytes)


def declared_bytes(request: Request) -> int:
    """Return the Content-Length; 0 if the client sent none."""
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
        f"The request's body is larger than the {limit_bytes} bytes allowed here. Give large videos by URL, or upload "
        "them to /v1/files."
    )
