"""Open any kind of video source as a file on this node."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.config import SourceSettings
from pipeline.errors import InvalidRequest, SourceError, VideoError
from pipeline.sources.copies import LocalCopy, check_fingerprint, check_size, fingerprint_of
from pipeline.sources.local_files import LocalFiles, stat_regular_file
from pipeline.sources.remote.http_downloads import HttpOrigin
from pipeline.sources.remote.node_cache import HeldFile, NodeCache
from pipeline.sources.remote.public_addresses import Resolver, resolve_host
from pipeline.sources.remote.remote_blocks import RemoteBlocks, prepare_blocks
from pipeline.sources.remote.retries import Deadline, RetryBudgets
from pipeline.sources.remote.s3_objects import S3Origin, s3_client
from pipeline.sources.remote.transfers import CountedOrigin, Origin, RemoteVersion, copy_body
from pipeline.sources.uploads.opening import open_upload_store
from pipeline.types import HttpVideo, LocalVideo, S3Video, StoredVideo, VideoSource
from pipeline.video.video_files import BlockFile

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_PARAMS = {LocalVideo: "video_path", HttpVideo: "video_url", S3Video: "video_url", StoredVideo: "file_id"}


class VideoLibrary:
    """Opens video sources. Files of this node are used in place; remote ones are copied, once per node.

    One library serves all threads of a process, and holds the retry budget of each host. `resolve` looks up host names.
    `on_fetched` is called from any thread with the kind of a remote source, `http` or `s3`, and the number of bytes
    that arrived.
    """

    def __init__(
        self,
        settings: SourceSettings,
        *,
        resolve: Resolver = resolve_host,
        on_fetched: Callable[[str, int], None] = lambda source, num_bytes: None,
    ) -> None:
        self._settings = settings
        self._on_fetched = on_fetched
        self._resolve = resolve
        self._local_files = LocalFiles(settings)
        self._uploads = open_upload_store(settings)
        self._retry_budgets = RetryBudgets()
        self._cache = NodeCache(settings.cache_dir, settings.cache_bytes)

    @contextmanager
    def open(self, source: VideoSource, expected_fingerprint: str | None = None) -> Iterator[LocalCopy]:
        """Open `source` as a file on this node that stays in place while the context is open.

        `expected_fingerprint` comes from an earlier open of the same source: other bytes raise SourceChanged, and a
        copy on this node is used without a request to the origin.

        Raises SourceErrors, InvalidRequest, UnreadableVideo if the file is empty, and ServiceError if this node's disk
        fails.
        """
        with ExitStack() as stack:
            try:
                copy = self._open(source, expected_fingerprint, stack)
            except (InvalidRequest, SourceError, VideoError) as error:
                error.param = _PARAMS[type(source)]
                raise
            yield copy

    def _open(self, source: VideoSource, expected: str | None, stack: ExitStack) -> LocalCopy:
        match source:
            case LocalVideo(path):
                return self._open_local(path, expected)
            case StoredVideo(file_id):
                return self._open_stored(file_id, expected, stack)
            case HttpVideo(url):
                origin = HttpOrigin(url, self._settings, self._retry_budgets, resolve=self._resolve)
                return self._open_remote(CountedOrigin(origin, partial(self._on_fetched, "http")), expected, stack)
            case S3Video():
                return self._open_remote(self._s3_origin(source, source.public_name), expected, stack)

    def _open_local(self, path: str, expected: str | None) -> LocalCopy:
        copy = self._local_files.find(path)
        check_fingerprint(copy.fingerprint, expected, name=path)
        return copy

    def _open_stored(self, file_id: str, expected: str | None, stack: ExitStack) -> LocalCopy:
        name = f"The upload {file_id}"
        match self._uploads.location(file_id):
            case S3Video() as video:
                return self._open_remote(self._s3_origin(video, name), expected, stack)
            case Path() as path:
                found = stat_regular_file(path, name=name, max_bytes=self._settings.max_video_bytes)
                fingerprint = fingerprint_of(file_id, str(found.st_size), str(found.st_mtime_ns))
                check_fingerprint(fingerprint, expected, name=name)
                return LocalCopy(path, found.st_size, fingerprint)

    def _open_remote(self, origin: Origin, expected: str | None, stack: ExitStack) -> LocalCopy:
        if expected is not None:
            if held := self._cache.find(_cache_key(origin, expected)):
                return self._whole(held, expected, stack)
            if held := self._cache.find(_cache_key(origin, expected, of_blocks=True)):
                return self._blocks(held, origin, expected, stack)
        deadline = Deadline(self._settings.download_timeout_seconds)
        version = origin.version(deadline)
        if version.size_bytes is not None:
            check_size(version.size_bytes, self._settings.max_video_bytes, name=origin.name)
        fingerprint = _remote_fingerprint(origin, version)
        check_fingerprint(fingerprint, expected, name=origin.name)
        if version.can_be_cut:
            fill = partial(prepare_blocks, version=version)
            key = _cache_key(origin, fingerprint, of_blocks=True)
            held = self._cache.fetch(key, fill, size_bytes=None, name=origin.name, deadline=deadline)
            return self._blocks(held, origin, fingerprint, stack)
        copy = partial(copy_body, origin, version, max_bytes=self._settings.max_video_bytes, deadline=deadline)
        key = _cache_key(origin, fingerprint)
        held = self._cache.fetch(key, copy, size_bytes=version.size_bytes, name=origin.name, deadline=deadline)
        return self._whole(held, fingerprint, stack)

    @staticmethod
    def _whole(held: HeldFile, fingerprint: str, stack: ExitStack) -> LocalCopy:
        stack.enter_context(held)
        return LocalCopy(held.path, held.size_bytes, fingerprint)

    def _blocks(self, held: HeldFile, origin: Origin, fingerprint: str, stack: ExitStack) -> LocalCopy:
        """The blocks of the video that were read so far; the rest is fetched on reading."""
        stack.enter_context(held)
        file = stack.enter_context(held.path.open("r+b"))
        blocks = RemoteBlocks(file, origin, self._settings)
        return LocalCopy(BlockFile(held.path, blocks.size_bytes), blocks.size_bytes, fingerprint, blocks.fetch)

    def _s3_origin(self, video: S3Video, name: str) -> Origin:
        origin = S3Origin(self._s3_client, video, self._retry_budgets, name=name)
        return CountedOrigin(origin, partial(self._on_fetched, "s3"))

    @cached_property
    def _s3_client(self) -> S3Client:
        return s3_client(self._settings, max_attempts=1)  # the origin itself retries


def _remote_fingerprint(origin: Origin, version: RemoteVersion) -> str:
    return fingerprint_of(origin.location, version.validator, str(version.size_bytes))


def _cache_key(origin: Origin, fingerprint: str, *, of_blocks: bool = False) -> str:
    # With the location again, so that a fingerprint never leads to the copy of another source.
    return fingerprint_of(origin.location, fingerprint, "blocks" if of_blocks else "whole")
