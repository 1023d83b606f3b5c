"""How much of a remote video is read, and how long it takes, until its first chunk is decoded."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Literal

from benchmarks.footage import FOLDER, clips
from pipeline.config import DecodingSettings, SourceSettings, VideoLimits
from pipeline.decoding.chunk_decoder import ChunkDecoder
from pipeline.decoding.isolated_backends import IsolatedBackends, decoding_process
from pipeline.isolation.process import IsolatedProcess
from pipeline.planning.chunking import plan_chunks
from pipeline.planning.visual_tokens import (
    DEFAULT_MAX_PIXELS,
    DEFAULT_MIN_FRAMES,
    DEFAULT_MIN_PIXELS,
    DEFAULT_TOTAL_PIXELS,
)
from pipeline.sources import VideoLibrary
from pipeline.types import ChunkingRequest, FrameSampling, HttpUrl, HttpVideo, S3Video, TokenBudget, VideoSource
from pipeline.video.isolated_probing import IsolatedProbe

Protocol = Literal["HTTP", "S3"]
PROTOCOLS: tuple[Protocol, ...] = ("HTTP", "S3")
CHUNK_SECONDS = 60.0
COPY_BYTES = 64 * 1024


@dataclass(frozen=True)
class FirstChunk:
    file_bytes: int
    duration_seconds: float
    read_bytes: int
    seconds: float
    num_frames: int


def long_film(hours: float, *, index_in_front: bool) -> Path:
    """Footage of 720p, repeated: about 0.8 GB an hour."""
    path = FOLDER / f"remote_{hours:g}h_{'front' if index_in_front else 'end'}.mp4"
    if not path.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        flags = ["-movflags", "+faststart"] if index_in_front else []
        command = ["ffmpeg", "-v", "error", "-y", "-stream_loop", "-1", "-i", str(clips()[0]), "-t", str(hours * 3600)]
        subprocess.run([*command, "-c", "copy", "-an", *flags, str(path)], check=True, stdin=subprocess.DEVNULL)
    return path


def first_chunk(path: Path, protocol: Protocol) -> FirstChunk:
    """From a server on this machine, by worker processes that are warm."""
    os.environ |= {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench"}  # which nobody checks
    cache = Path(tempfile.mkdtemp(prefix="longtake-bench-"))
    probe, process = IsolatedProbe(), decoding_process()
    try:
        with _served(path) as (origin, read):
            settings = SourceSettings(
                cache_dir=cache, allow_private_addresses=True, s3_endpoint_url=origin, s3_region="us-east-1"
            )
            library = VideoLibrary(settings)
            _decode_first(library, _source(protocol, origin, "warm.mp4"), probe, process)
            read.num_bytes = 0
            started = time.perf_counter()
            source = _source(protocol, origin, "film.mp4")
            duration_seconds, num_frames = _decode_first(library, source, probe, process)
            seconds = time.perf_counter() - started
            return FirstChunk(path.stat().st_size, duration_seconds, read.num_bytes, seconds, num_frames)
    finally:
        probe.close()
        process.close()
        shutil.rmtree(cache)


def _source(protocol: Protocol, origin: str, name: str) -> VideoSource:
    return HttpVideo(HttpUrl.parse(f"{origin}/films/{name}")) if protocol == "HTTP" else S3Video("films", name)


def _decode_first(
    library: VideoLibrary, source: VideoSource, probe: IsolatedProbe, process: IsolatedProcess
) -> tuple[float, int]:
    """The video's length in seconds, and how many frames its first chunk has."""
    with library.open(source) as copy:
        video = probe(
            copy.file,
            size_bytes=copy.size_bytes,
            fingerprint=copy.fingerprint,
            limits=VideoLimits(),
            fetch=copy.fetch,
        )
        sampling = FrameSampling(
            2.0, None, 768, DEFAULT_MIN_PIXELS, DEFAULT_MAX_PIXELS, DEFAULT_TOTAL_PIXELS, DEFAULT_MIN_FRAMES
        )
        plan = plan_chunks(
            video.info,
            video.pts_seconds,
            ChunkingRequest(CHUNK_SECONDS, 0.0, 0.0, None, sampling),
            TokenBudget(10**9, 0),
            max_chunks=1000,
            packet_index=video.packet_index,
        )
        with closing(IsolatedBackends(process, copy.file, video.info, copy.fetch)) as backends:
            result = ChunkDecoder(backends, DecodingSettings().backend_order).decode(plan.chunks[0])
    return video.info.duration_seconds, result.report.num_frames


class _Read:
    num_bytes = 0


@contextmanager
def _served(path: Path) -> Iterator[tuple[str, _Read]]:
    """The same file under every name, by ranges: as HTTP servers answer, and S3 to HEAD and GET.

    moto, the tests' S3, takes a whole object into memory for each range of it.
    """
    read = _Read()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            size_bytes = path.stat().st_size
            asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
            start, stop = (int(asked[1]), int(asked[2]) + 1) if asked else (0, size_bytes)
            self.send_response(206 if asked else 200)
            if asked:
                self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{size_bytes}")
            self.send_header("Content-Length", str(stop - start))
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("ETag", f'"{os.path.getmtime(path)}"')
            self.send_header("Last-Modified", formatdate(path.stat().st_mtime, usegmt=True))
            self.end_headers()
            if self.command == "HEAD":
                return
            try:
                with path.open("rb") as file:
                    file.seek(start)
                    while start < stop and (block := file.read(min(COPY_BYTES, stop - start))):
                        self.wfile.write(block)
                        start += len(block)
                        read.num_bytes += len(block)
            except OSError:
                self.close_connection = True  # the client hung up, as it does after the headers

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", read
        server.shutdown()
