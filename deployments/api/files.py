"""`/v1/files`, as in OpenAI's API: uploads that any number of analyses may use."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Literal, Self
from urllib.parse import quote

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from deployments.api.byte_ranges import requested_range
from deployments.api.documentation import form_body
from deployments.api.service import Service, ServiceDependency
from deployments.wire.request_bodies import (
    FIELDS_BYTES,
    declared_bytes,
    form_fields,
    is_multipart,
    read_form,
    uploaded_file,
)
from deployments.wire.validation import validated
from pipeline.errors import InvalidRequest
from pipeline.sources import FilePage, StoredFile, check_room, page_of
from pipeline.video.sniffing import SNIFF_BYTES, media_type

router = APIRouter(tags=["files"])

Purpose = Literal["vision", "user_data"]
MAX_LISTED = 1000
MAX_OPEN_RANGE_BYTES = 8 * 1024**2
"""Limit for a range without an end, which is how browsers request a video. Serve would buffer all of it for a client
that reads slowly. A player requests the next range by itself."""


class FileBody(BaseModel):
    """OpenAI's file object."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int | None
    filename: str
    purpose: str
    status: Literal["processed", "error"] = "processed"
    """`error`: the file's record is damaged, so that only its id and size are known."""

    @classmethod
    def of(cls, file: StoredFile) -> Self:
        return cls(
            id=file.file_id,
            bytes=file.size_bytes,
            created_at=file.created_at,
            expires_at=file.expires_at,
            filename=file.file_name,
            purpose=file.purpose,
            status="error" if file.is_damaged else "processed",
        )


class FileListBody(BaseModel):
    object: Literal["list"] = "list"
    data: list[FileBody]
    first_id: str | None
    last_id: str | None
    has_more: bool

    @classmethod
    def of(cls, page: FilePage) -> Self:
        data = [FileBody.of(file) for file in page.files]
        return cls(
            data=data,
            first_id=data[0].id if data else None,
            last_id=data[-1].id if data else None,
            has_more=page.has_more,
        )


class DeletedFileBody(BaseModel):
    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


class FileFields(BaseModel):
    """The form fields of an upload besides the file, under OpenAI's names."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    purpose: Purpose = "vision"
    expires_anchor: Literal["created_at"] = Field(default="created_at", alias="expires_after[anchor]")
    expires_seconds: int | None = Field(default=None, alias="expires_after[seconds]", ge=60)
    """Seconds until the file is deleted; by default the server's own setting, which may be never."""


@router.post("/v1/files", openapi_extra=form_body("file", FileFields))
async def upload_file(request: Request, service: ServiceDependency) -> FileBody:
    """Store a video. Later requests refer to it by `file_id`."""
    if is_multipart(request):
        least_bytes = max(0, declared_bytes(request) - FIELDS_BYTES)
        await check_space(service, least_bytes)  # before the client sends the file
        async with read_form(request, service.settings.sources) as form:
            fields = validated_fields(form_fields(form))
            if upload := uploaded_file(form):
                stored = await service.store_upload(
                    upload.file,
                    upload.filename or "upload",
                    purpose=fields.purpose,
                    expires_at=expiry(service, fields.expires_seconds),
                )
                return FileBody.of(stored)
    raise InvalidRequest("No file was sent; send multipart/form-data with a field named file.", param="file")


@router.get("/v1/files")
async def list_files(
    service: ServiceDependency,
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 100,
    after: str | None = None,
    order: Literal["asc", "desc"] = "desc",
    purpose: str | None = None,
) -> FileListBody:
    """List uploaded files, newest first. Pass the `last_id` of the previous page as `after`."""
    page = await asyncio.to_thread(
        page_of, service.uploads, limit=limit, after=after, oldest_first=order == "asc", purpose=purpose
    )
    return FileListBody.of(page)


@router.get("/v1/files/{file_id}")
async def get_file(file_id: str, service: ServiceDependency) -> FileBody:
    """Return an uploaded file's name, size and expiry."""
    return FileBody.of(await asyncio.to_thread(service.uploads.get, file_id))


@router.delete("/v1/files/{file_id}")
async def delete_file(file_id: str, service: ServiceDependency) -> DeletedFileBody:
    """Delete an uploaded file."""
    await asyncio.to_thread(service.uploads.delete, file_id)
    return DeletedFileBody(id=file_id)


@router.api_route("/v1/files/{file_id}/content", methods=["GET", "HEAD"], response_class=Response)
async def get_content(file_id: str, request: Request, service: ServiceDependency) -> Response:
    """Download the file. Supports `Range` requests, which players of browsers send."""
    file = await asyncio.to_thread(service.uploads.get, file_id)
    head = await asyncio.to_thread(lambda: b"".join(service.uploads.read(file_id, 0, SNIFF_BYTES)))
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": f'"{file_id}"',  # the bytes of an id never change
        "Cache-Control": "private, max-age=3600",
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(file.file_name.replace('/', '_'), safe='')}",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox",  # a client's file, on our origin
    }
    part = requested_range(request.headers, file.size_bytes, etag=headers["ETag"], max_open_bytes=MAX_OPEN_RANGE_BYTES)
    if part is None:
        start, stop, status = 0, file.size_bytes, 200
    elif part.is_satisfiable:
        start, stop, status = part.start, part.stop, 206
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{file.size_bytes}"
    else:
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{file.size_bytes}"})
    headers["Content-Length"] = str(stop - start)
    if request.method == "HEAD":
        return Response(status_code=status, headers=headers, media_type=media_type(head))
    blocks = service.uploads.read(file_id, start, stop)
    return StreamingResponse(_in_threads(blocks), status, headers, media_type(head))


def validated_fields(fields: dict[str, str]) -> FileFields:
    names = (field.alias or name for name, field in FileFields.model_fields.items())
    return validated(FileFields, fields, allowed=["file", *names])


def expiry(service: Service, requested_seconds: int | None) -> int | None:
    """Return when a file that is uploaded now expires. Raises InvalidRequest beyond the operator's own limit."""
    kept_seconds = service.settings.sources.keep_uploads_seconds
    if requested_seconds is not None and kept_seconds is not None and requested_seconds > kept_seconds:
        raise InvalidRequest(
            f"expires_after[seconds] is {requested_seconds}, and files are kept for {kept_seconds} s here; send at "
            "most that, or leave it out.",
            param="expires_after[seconds]",
        )
    seconds = kept_seconds if requested_seconds is None else requested_seconds
    return None if seconds is None else int(time.time()) + seconds


async def check_space(service: Service, size_bytes: int) -> None:
    """Raise UploadStoreFull or SourceTooLarge if there is no room for a file of `size_bytes`."""

    def check() -> None:
        check_room(service.uploads.used_bytes(), size_bytes, service.settings.sources)

    await asyncio.to_thread(check)


async def _in_threads(blocks: Iterator[bytes]) -> AsyncIterator[bytes]:
    following: Callable[[], bytes | None] = lambda: next(blocks, None)  # noqa: E731  # StopIteration cannot leave a thread
    while (block := await asyncio.to_thread(following)) is not None:
        yield block
