"""Resumable uploads by tus 1.0 (https://tus.io) at `/v1/files/uploads`."""

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Literal, Self, TypeVar

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.requests import ClientDisconnect

from deployments.api.dialect_route import dialect_route
from deployments.api.files import FileBody, expiry, validated_fields
from deployments.api.service import ServiceDependency
from deployments.wire.errors import plain_error
from deployments.wire.request_texts import find_unsafe
from pipeline.errors import InvalidRequest, UnsupportedMedia
from pipeline.sources import Appender, ResumableUpload, ResumableUploads

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,expiration,termination"
CONTENT_TYPE = "application/offset+octet-stream"
WRITE_BYTES = 1024**2
FILE_ID_HEADER = "Longtake-File-Id"
PREFIX = "/v1/files/uploads"

Result = TypeVar("Result")


def _check_version(request: Request) -> JSONResponse | None:
    """Return an error response for a request in another version of the protocol."""
    got = request.headers.get("tus-resumable")
    if request.method in ("OPTIONS", "GET") or got == VERSION:
        return None
    message = f"Tus-Resumable is {got!r}; send {VERSION!r}, the version that is supported here."
    return JSONResponse(plain_error("invalid_request", message), 412, {"Tus-Version": VERSION})


router = APIRouter(
    tags=["files"], route_class=dialect_route(headers={"Tus-Resumable": VERSION}, precondition=_check_version)
)


class UploadBody(BaseModel):
    """OpenAI's upload object."""

    id: str
    object: Literal["upload"] = "upload"
    bytes: int
    """Size of the whole file."""
    offset: int
    """Bytes stored so far."""
    created_at: int
    expires_at: int | None
    """When the upload is deleted if nothing more arrives."""
    filename: str
    purpose: str
    status: Literal["pending", "completed"]
    file: FileBody | None
    """The file, once the upload is complete."""

    @classmethod
    def of(cls, upload: ResumableUpload) -> Self:
        return cls(
            id=upload.upload_id,
            bytes=upload.length_bytes,
            offset=upload.offset_bytes,
            created_at=upload.created_at,
            expires_at=upload.abandoned_at,
            filename=upload.file_name,
            purpose=upload.purpose,
            status="completed" if upload.file else "pending",
            file=FileBody.of(upload.file) if upload.file else None,
        )


@router.options(PREFIX)
@router.options(PREFIX + "/{upload_id}")
async def get_protocol(service: ServiceDependency) -> Response:
    """Return the version and the extensions of tus that are supported."""
    headers = {
        "Tus-Version": VERSION,
        "Tus-Extension": EXTENSIONS,
        "Tus-Max-Size": str(service.settings.sources.max_video_bytes),
    }
    return Response(status_code=204, headers=headers)


@router.post(PREFIX, status_code=201, response_class=Response)
async def create_upload(request: Request, service: ServiceDependency) -> Response:
    """Create an upload of `Upload-Length` bytes; `Upload-Metadata` may set `filename`, `purpose`, `expires_after`."""
    if request.headers.get("upload-defer-length") is not None:
        raise InvalidRequest("Upload-Defer-Length is not supported; send Upload-Length.", param="Upload-Length")
    metadata = _metadata(request.headers.get("upload-metadata", ""))
    fields = {"purpose": metadata.get("purpose"), "expires_after[seconds]": metadata.get("expires_after")}
    options = validated_fields({name: value for name, value in fields.items() if value is not None})
    upload = await asyncio.to_thread(
        service.resumable_uploads.create,
        _size(request, "Upload-Length"),
        file_name=metadata.get("filename") or metadata.get("name") or "upload",
        purpose=options.purpose,
        expires_at=expiry(service, options.expires_seconds),
    )
    if request.headers.get("content-type") == CONTENT_TYPE:
        upload = await _receive(request, service.resumable_uploads, upload.upload_id, 0)
    location = f"{request.scope.get('root_path', '')}{PREFIX}/{upload.upload_id}"
    return Response(status_code=201, headers={"Location": location, **_progress(upload)})


@router.head(PREFIX + "/{upload_id}")
async def get_offset(upload_id: str, service: ServiceDependency) -> Response:
    """Return the stored bytes in `Upload-Offset`, and the id of a finished file in `Longtake-File-Id`."""
    upload = await asyncio.to_thread(service.resumable_uploads.get, upload_id, settled=True)
    metadata = {"filename": upload.file_name, "purpose": upload.purpose}
    headers = {
        "Upload-Length": str(upload.length_bytes),
        "Upload-Metadata": ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in metadata.items()),
        "Cache-Control": "no-store",
    }
    return Response(status_code=200, headers=headers | _progress(upload))


@router.get(PREFIX + "/{upload_id}")
async def get_upload(upload_id: str, service: ServiceDependency) -> UploadBody:
    """Return the upload as JSON, for clients without tus."""
    return UploadBody.of(await asyncio.to_thread(service.resumable_uploads.get, upload_id))


@router.patch(PREFIX + "/{upload_id}", status_code=204, response_class=Response)
async def append(upload_id: str, request: Request, service: ServiceDependency) -> Response:
    """Append bytes at `Upload-Offset`. Bytes that arrive before a connection breaks are stored."""
    content_type = request.headers.get("content-type")
    if content_type != CONTENT_TYPE:
        raise UnsupportedMedia(f"Content-Type is {content_type!r}; send {CONTENT_TYPE}.")
    upload = await _receive(request, service.resumable_uploads, upload_id, _size(request, "Upload-Offset"))
    return Response(status_code=204, headers=_progress(upload))


@router.delete(PREFIX + "/{upload_id}", status_code=204, response_class=Response)
async def abort_upload(upload_id: str, service: ServiceDependency) -> Response:
    """Delete an unfinished upload. A finished one is deleted as a file."""
    await asyncio.to_thread(service.resumable_uploads.abort, upload_id)
    return Response(status_code=204)


async def _receive(request: Request, uploads: ResumableUploads, upload_id: str, offset: int) -> ResumableUpload:
    """Store the body as it arrives, with at most WRITE_BYTES in memory."""
    async with _appending(uploads, upload_id, offset) as write:
        buffer = bytearray()
        try:
            async for block in request.stream():
                buffer += block
                if len(buffer) >= WRITE_BYTES:
                    piece = bytes(buffer)
                    buffer.clear()
                    await write(piece)
        except ClientDisconnect:
            pass  # the client will resume, and cannot read this response
        finally:
            await write(bytes(buffer))
    return await asyncio.to_thread(uploads.get, upload_id)


@asynccontextmanager
async def _appending(
    uploads: ResumableUploads, upload_id: str, offset: int
) -> AsyncIterator[Callable[[bytes], Awaitable[None]]]:
    """Append to an upload in threads. However the block ends, no thread still writes when the lock is released."""
    appending = uploads.append(upload_id, offset)
    appender: Appender = await _run_to_end(appending.__enter__)

    async def write(piece: bytes) -> None:
        await _run_to_end(lambda: appender.write(piece))

    try:
        yield write
    finally:
        await _run_to_end(lambda: appending.__exit__(None, None, None))


async def _run_to_end(function: Callable[[], Result]) -> Result:
    """Run `function` in a thread and wait for its end, even if this task is cancelled: a thread cannot be."""
    running = asyncio.ensure_future(asyncio.to_thread(function))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        raise


def _progress(upload: ResumableUpload) -> dict[str, str]:
    headers = {"Upload-Offset": str(upload.offset_bytes)}
    if upload.abandoned_at is not None:
        headers["Upload-Expires"] = formatdate(upload.abandoned_at, usegmt=True)
    if upload.file is not None:
        headers[FILE_ID_HEADER] = upload.file_id
    return headers


def _size(request: Request, header: str) -> int:
    text = request.headers.get(header, "")
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise InvalidRequest(f"{header} is {text[:40]!r}; send a number of bytes.", param=header)
    return int(text)


def _metadata(header: str) -> dict[str, str]:
    """Parse comma-separated pairs of a name and base64."""
    found = {}
    for pair in filter(None, (pair.strip() for pair in header.split(","))):
        name, _, encoded = pair.partition(" ")
        try:
            found[name] = base64.b64decode(encoded, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            raise InvalidRequest(
                f"Upload-Metadata contains {name[:40]!r} with a value that is not UTF-8 in base64.",
                param="Upload-Metadata",
            ) from None
    if fault := find_unsafe(found):
        raise InvalidRequest(
            f"{fault.param} is not usable: {fault.description}; leave it out.", param="Upload-Metadata"
        )
    return found
