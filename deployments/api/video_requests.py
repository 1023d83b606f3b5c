"""Read requests in JSON or as a form, which may contain the video as a file."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

from fastapi import Request
from starlette.datastructures import UploadFile

from deployments.api.options import AnalysisOptions
from deployments.api.video_sources import FormFile, RequestedVideo, requested_video
from deployments.wire.request_bodies import form_fields, is_multipart, read_form, read_json, uploaded_file
from deployments.wire.validation import validated
from pipeline.config import SourceSettings


class VideoRequest(AnalysisOptions):
    """A video, and how to analyze it. A multipart form may contain the video as a file."""

    video_url: str | None = None
    """An http, https, s3 or base64 data URL. A list of images is `data:video/jpeg;base64,` with commas between them."""
    video_path: str | None = None
    """A file on the server, below one of its media roots."""
    file_id: str | None = None
    """The id of an upload to /v1/files."""


RequestT = TypeVar("RequestT", bound=VideoRequest)


@asynccontextmanager
async def read_request(
    http_request: Request, model: type[RequestT], settings: SourceSettings
) -> AsyncIterator[tuple[RequestT, RequestedVideo]]:
    """Yield the request as a `model`, and its video. A file in a form stays open until the block ends.

    Raises InvalidRequest, SourceTooLarge.
    """
    async with AsyncExitStack() as resources:
        if is_multipart(http_request):
            form = await resources.enter_async_context(read_form(http_request, settings))
            request = validated(model, form_fields(form))
            yield request, video_of(request, uploaded_file(form))
        else:
            request = validated(model, await read_json(http_request, settings))
            yield request, video_of(request)


def video_of(request: VideoRequest, upload: UploadFile | None = None) -> RequestedVideo:
    """Return the one video that the request names, or that its form contains. Raises InvalidRequest."""
    return requested_video(
        url=request.video_url,
        path=request.video_path,
        file_id=request.file_id,
        upload=FormFile(upload.file, upload.filename or "upload") if upload else None,
        sample_fps=request.sample_fps,
    )
