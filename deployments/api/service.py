"""What the routes of every dialect stand on: the model that is served, the uploads, the Orchestrator."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, BinaryIO, Protocol

from fastapi import Depends
from ray import serve

from deployments.calls import deadline
from deployments.config import AppSettings
from deployments.model_choice import ModelChoice
from pipeline.analysis import AnalysisEvent, AnalysisJob
from pipeline.errors import InvalidRequest
from pipeline.sources import DataUrl, StoredFile, UploadStore, decode_data_url, parse_video_url
from pipeline.types import LocalVideo, StoredVideo, VideoSource

BLOCK_BYTES = 1024**2
READY_TIMEOUT_SECONDS = 20.0


class OrchestratorClient(Protocol):
    """The Orchestrator, as the routes see it."""

    def analyze(self, job: AnalysisJob) -> AsyncIterator[AnalysisEvent]: ...

    async def max_model_len(self) -> int: ...

    async def check_ready(self) -> None: ...


@dataclass(frozen=True)
class VideoInput:
    """The ways in which a client may name its video. Exactly one is set."""

    url: str | None = None
    path: str | None = None
    file_id: str | None = None
    upload: tuple[BinaryIO, str] | None = None
    """The bytes and the name that the client gave them."""

    @property
    def num_given(self) -> int:
        return sum(way is not None for way in (self.url, self.path, self.file_id, self.upload))


@dataclass(frozen=True)
class Service:
    """One per Ingress replica."""

    settings: AppSettings
    model: ModelChoice
    uploads: UploadStore
    orchestrator: OrchestratorClient

    @asynccontextmanager
    async def source(self, video: VideoInput) -> AsyncIterator[VideoSource]:
        """The video as the stages know it. What came with the request itself is kept as long as the block runs.

        Raises InvalidRequest and SourceError.
        """
        temporary = await self._stored(video)
        try:
            yield StoredVideo(temporary.file_id) if temporary else _named_source(video)
        finally:
            if temporary:
                await asyncio.to_thread(self.uploads.delete, temporary.file_id)

    async def store(self, file: BinaryIO, file_name: str) -> StoredFile:
        """Keeps an upload, block by block."""
        return await asyncio.to_thread(self.uploads.save, _blocks(file), file_name=file_name)

    async def check_ready(self) -> None:
        """Raises DeadlineExceeded or EngineFailed unless the engine generates."""
        async with deadline(READY_TIMEOUT_SECONDS, "A test generation"):
            await self.orchestrator.check_ready()

    async def _stored(self, video: VideoInput) -> StoredFile | None:
        if video.upload is not None:
            return await self.store(*video.upload)
        if video.url is not None and isinstance(parsed := parse_video_url(video.url), DataUrl):
            content = await asyncio.to_thread(decode_data_url, parsed.url, self.settings.sources.max_data_url_bytes)
            return await asyncio.to_thread(self.uploads.save, [content], file_name="data-url")
        return None


def _named_source(video: VideoInput) -> VideoSource:
    if video.path is not None:
        return LocalVideo(video.path)
    if video.file_id is not None:
        return StoredVideo(video.file_id)
    if video.url is not None:
        parsed = parse_video_url(video.url)
        assert not isinstance(parsed, DataUrl), "stored before"
        return parsed
    raise InvalidRequest(
        "No video is given; give one of video_url, video_path and file_id, or upload a file.", param="video_url"
    )


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    return iter(lambda: file.read(BLOCK_BYTES), b"")


def _service() -> Service:
    ingress = serve.get_replica_context().servable_object
    service: Service = ingress.service
    return service


ServiceDependency = Annotated[Service, Depends(_service)]
