"""What the routes of every dialect stand on: the model that is served, the uploads, the Orchestrator."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, BinaryIO, Protocol

from fastapi import Depends
from ray import serve

from deployments.api.event_feeds import EventFeeds
from deployments.config import AppSettings
from deployments.model_choice import ModelChoice
from deployments.serving.calls import deadline
from pipeline.analysis import AnalysisEvent, AnalysisJob, Estimate
from pipeline.errors import InvalidRequest, LongtakeError
from pipeline.sources import (
    REQUEST_PURPOSE,
    DataUrl,
    ResumableUploads,
    StoredFile,
    UploadStore,
    decode_data_url,
    decode_frame_list,
    parse_video_url,
)
from pipeline.store import AsyncAnalysisStore
from pipeline.types import LocalVideo, StoredVideo, VideoSource
from pipeline.video.frame_lists import DEFAULT_SAMPLE_FPS, frame_list_video

BLOCK_BYTES = 1024**2
READY_TIMEOUT_SECONDS = 20.0


class OrchestratorClient(Protocol):
    """The Orchestrator, as the routes see it."""

    def analyze(self, job: AnalysisJob) -> AsyncIterator[AnalysisEvent]: ...

    async def estimate(self, job: AnalysisJob) -> Estimate: ...

    async def max_model_len(self) -> int: ...

    async def check_ready(self) -> None: ...


@dataclass(frozen=True)
class VideoInput:
    """The ways in which a client may name its video. Exactly one of the first four is set."""

    url: str | None = None
    path: str | None = None
    file_id: str | None = None
    upload: tuple[BinaryIO, str] | None = None
    """The bytes and the name that the client gave them."""
    sample_fps: float | None = None
    """At how many per second the images were taken, where `url` is a list of them."""

    @property
    def num_given(self) -> int:
        return sum(way is not None for way in (self.url, self.path, self.file_id, self.upload))


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
    async def source(self, video: VideoInput) -> AsyncIterator[VideoSource]:
        """The video as the stages know it. What came with the request itself is kept as long as the block runs.

        Raises InvalidRequest and SourceError.
        """
        source, owned_file_id = await self.kept_source(video)
        try:
            yield source
        finally:
            if owned_file_id:
                await asyncio.to_thread(self.uploads.delete, owned_file_id)

    async def kept_source(self, video: VideoInput) -> tuple[VideoSource, str | None]:
        """The same, and the upload that was made of what came with the request: the caller's to delete, in the end."""
        temporary = await self._stored(video)
        return temporary or _named_source(video), temporary.file_id if temporary else None

    async def keep_upload(self, file: BinaryIO, file_name: str, *, purpose: str, expires_at: int | None) -> StoredFile:
        """Keeps an upload, block by block."""
        return await asyncio.to_thread(
            self.uploads.save, _blocks(file), file_name=file_name, purpose=purpose, expires_at=expires_at
        )

    async def check_ready(self) -> None:
        """Raises DeadlineExceeded or EngineFailed unless the engine generates."""
        async with deadline(READY_TIMEOUT_SECONDS, "A test generation"):
            await self.orchestrator.check_ready()

    async def _stored(self, video: VideoInput) -> StoredVideo | None:
        parsed = parse_video_url(video.url) if video.url is not None else None
        is_frame_list = isinstance(parsed, DataUrl) and parsed.is_frame_list
        if video.sample_fps is not None and not is_frame_list:
            raise InvalidRequest(
                "sample_fps, or vLLM's media_io_kwargs.video.fps, is the rate at which the images of a "
                "data:video/jpeg;base64 list were taken, and the video is none; leave it out. fps and nframes say how "
                "many frames are looked at.",
                param="sample_fps",
            )
        expires_at = int(time.time() + self.settings.store.keep_request_uploads_seconds)
        save = partial(self.uploads.save, purpose=REQUEST_PURPOSE, expires_at=expires_at)
        if video.upload is not None:
            content, name = video.upload
            file = await asyncio.to_thread(save, _blocks(content), file_name=name)
        elif isinstance(parsed, DataUrl):
            decoded = await asyncio.to_thread(self._content, parsed, video.sample_fps or DEFAULT_SAMPLE_FPS)
            file = await asyncio.to_thread(save, [decoded], file_name="data-url")
        else:
            return None
        return StoredVideo(file.file_id, is_frame_list=is_frame_list)

    def _content(self, url: DataUrl, sample_fps: float) -> bytes:
        max_bytes = self.settings.sources.max_data_url_bytes
        if not url.is_frame_list:
            return decode_data_url(url.url, max_bytes)
        images = decode_frame_list(url.url, max_bytes)
        try:
            return frame_list_video(images, sample_fps=sample_fps, max_frames=self.settings.limits.max_total_frames)
        except LongtakeError as error:
            error.param = "video_url"
            raise


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
