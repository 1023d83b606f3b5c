"""What the routes of every dialect stand on: the model that is served, the uploads, the Orchestrator."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Annotated, BinaryIO, Protocol

from fastapi import Depends
from ray import serve

from deployments.api.event_feeds import EventFeeds
from deployments.api.requested_video import FormFile, FrameList, RequestedVideo
from deployments.config import AppSettings
from deployments.model_choice import ModelChoice
from deployments.serving.calls import deadline
from pipeline.analysis import AnalysisEvent, AnalysisJob, Estimate
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


class OrchestratorClient(Protocol):
    """The Orchestrator, as the routes see it."""

    def analyze(self, job: AnalysisJob) -> AsyncIterator[AnalysisEvent]: ...

    async def estimate(self, job: AnalysisJob) -> Estimate: ...

    async def max_model_len(self) -> int: ...

    async def check_ready(self) -> None: ...


@dataclass(frozen=True)
class Service:
    """One per Ingress replica."""

    settings: AppSettings
    model: ModelChoice
    uploads: UploadStore
    resumable_uploads: ResumableUploads
    orchestrator: OrchestratorClient
    analysis_store: AsyncAnalysisStore
    feeds: EventFeeds
    wake_runner: Callable[[], object]
    """Says that a stored analysis waits; returns at once."""

    @asynccontextmanager
    async def source(self, video: RequestedVideo) -> AsyncIterator[VideoSource]:
        """The video as the stages know it. A video inside the request is stored for as long as the block runs.

        Raises InvalidRequest and SourceError.
        """
        source, owned_file_id = await self.kept_source(video)
        try:
            yield source
        finally:
            if owned_file_id:
                await asyncio.to_thread(self.uploads.delete, owned_file_id)

    async def kept_source(self, video: RequestedVideo) -> tuple[VideoSource, str | None]:
        """The same, and the id of the upload that now holds a video inside the request: the caller deletes it."""
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

    async def keep_upload(self, file: BinaryIO, file_name: str, *, purpose: str, expires_at: int | None) -> StoredFile:
        """Keeps an upload, block by block."""
        return await asyncio.to_thread(
            self.uploads.save, _blocks(file), file_name=file_name, purpose=purpose, expires_at=expires_at
        )

    async def check_ready(self) -> None:
        """Raises DeadlineExceeded or EngineFailed unless the engine generates."""
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


def _service() -> Service:
    ingress = serve.get_replica_context().servable_object
    service: Service = ingress.service
    return service


ServiceDependency = Annotated[Service, Depends(_service)]
