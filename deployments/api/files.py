"""Uploads that several analyses may use: `/v1/files`."""

import asyncio
from typing import Self

from fastapi import APIRouter, Request
from pydantic import BaseModel

from deployments.api.bodies import is_multipart, read_form, uploaded_file
from deployments.api.documentation import form_body
from deployments.api.service import ServiceDependency
from pipeline.errors import InvalidRequest
from pipeline.sources import StoredFile

router = APIRouter(tags=["files"])


class FileBody(BaseModel):
    """In the shape of OpenAI's file object."""

    id: str
    object: str = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: str = "vision"

    @classmethod
    def of(cls, file: StoredFile) -> Self:
        return cls(id=file.file_id, bytes=file.size_bytes, created_at=int(file.created_at), filename=file.file_name)


class DeletedFileBody(BaseModel):
    id: str
    object: str = "file"
    deleted: bool = True


@router.post("/v1/files", openapi_extra=form_body("file"))
async def upload_file(request: Request, service: ServiceDependency) -> FileBody:
    """Keeps a video, for `file_id` in later requests."""
    if is_multipart(request):
        async with read_form(request, service.settings.sources) as form:
            if upload := uploaded_file(form):
                return FileBody.of(await service.store(upload.file, upload.filename or "upload"))
    raise InvalidRequest("No file is sent; send multipart/form-data with a field named file.", param="file")


@router.get("/v1/files/{file_id}")
async def get_file(file_id: str, service: ServiceDependency) -> FileBody:
    return FileBody.of(await asyncio.to_thread(service.uploads.get, file_id))


@router.delete("/v1/files/{file_id}")
async def delete_file(file_id: str, service: ServiceDependency) -> DeletedFileBody:
    await asyncio.to_thread(service.uploads.delete, file_id)
    return DeletedFileBody(id=file_id)
