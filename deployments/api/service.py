"""The state of one Ingress replica, and the dependency that passes it to the routes of all dialects."""

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, BinaryIO

from fastapi import Depends
from ray import serve

from deployments.api.event_feeds import EventFeeds
from deployments.api.video_sources import FormFile, FrameList, RequestedVideo
from deployments.config import AppSettings
from deployments.model_choice import ModelChoice
from deployments.orchestrator_client import OrchestratorClient
from deployments.serving.retries import deadline
from pipeline.errors import LongtakeError
from pipeline.sources import (
    REQUEST_PURPOSE,
    DataUrl,
    ResumableUploads,
    StoredFile,
    UploadStore,
    decode_data_url,
    decode_frame_list,
)
from pipeline.store import AsyncAnalysisStore
from pipeline.types import StoredVideo, VideoSource
from pipeline.video.frame_lists import frame_list_video

BLOCK_BYTES = 1024**2
READY_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True)
class Service:
    """Settings, stores and clients of one Ingress replica. Routes get it through `ServiceDependency`."""

    settings: AppSettings
    model: ModelChoice
    uploads: UploadStore
    resumable_uploads: ResumableUploads
    orchestrator: OrchestratorClient
    analysis_store: AsyncAnalysisStore
    feeds: EventFeeds
    wake_runner: Callable[[], object]
    """Signals that a stored analysis is queued; returns at once."""

    async def resolve_source(self, video: RequestedVideo) -> tuple[VideoSource, str | None]:
        """Return the source for the stages. A video from inside the request is stored as an upload; the second value is
        its id, and the caller deletes it.

        Raises InvalidRequest and SourceError.
        """
        match video:
            case FormFile(file, name):
                stored = await self._store(_blocks(file), name)
            case DataUrl():
                stored = await self._store([await asyncio.to_thread(self._decoded, video)], "data-url")
            case FrameList():
                content = await asyncio.to_thread(self._frame_list_file, video)
                stored = replace(await self._store([content], "data-url"), is_frame_list=True)
            case source:
                return source, None
        return stored, stored.file_id

    async def store_upload(self, file: BinaryIO, file_name: str, *, purpose: str, expires_at: int | None) -> StoredFile:
        """Store an upload, block by block."""
        return await asyncio.to_thread(
            self.uploads.save, _blocks(file), file_name=file_name, purpose=purpose, expires_at=expires_at
        )

    async def check_ready(self) -> None:
        """Raise DeadlineExceeded or EngineFailed unless the engine generates a token."""
        async with deadline(READY_TIMEOUT_SECONDS, "A test generation"):
            await self.orchestrator.check_ready()

    async def _store(self, blocks: Iterable[bytes], file_name: str) -> StoredVideo:
        file = await asyncio.to_thread(
            self.uploads.save,
            blocks,
            file_name=file_name,
            purpose=REQUEST_PURPOSE,
            expires_at=int(time.time() + self.settings.store.keep_request_uploads_seconds),
        )
        return StoredVideo(file.file_id)

    def _decoded(self, url: DataUrl) -> bytes:
        return decode_data_url(url.url, self.settings.sources.max_data_url_bytes)

    def _frame_list_file(self, frame_list: FrameList) -> bytes:
        images = decode_frame_list(frame_list.url.url, self.settings.sources.max_data_url_bytes)
        try:
            return frame_list_video(
                images, sample_fps=frame_list.sample_fps, max_frames=self.settings.limits.max_total_frames
            )
        except LongtakeError as error:
            error.param = "video_url"
            raise


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: file.read(BLOCK_BYTES), b"")


def current_service() -> Service:
    ingress = serve.get_replica_context().servable_object
    service: Service = ingress.service
    return service


ServiceDependency = Annotated[Service, Depends(current_service)]
