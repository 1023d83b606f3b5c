"""Settings of the stages. A misspelt key is an error at startup, never a default that silently wins."""

from __future__ import annotations

import base64
import binascii
import tempfile
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

WEEK_SECONDS = 7 * 24 * 3600.0


class Settings(BaseModel):
    """Base of every settings class: rejects unknown keys, and is immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceSettings(Settings):
    """Allowed sources of videos, and limits on the disk, memory and time they take."""

    media_roots: tuple[Path, ...] = ()
    """Folders that `video_path` may point into. If empty, no server path is readable."""
    upload_store: str = Field(default=str(Path(tempfile.gettempdir()) / "longtake" / "uploads"))
    """Where uploads are stored: a folder, or `s3://bucket/prefix`. Several nodes must share it."""
    max_stored_bytes: int = Field(default=200 * 1024**3, gt=0)
    """Limit on all uploads together, unfinished resumable ones included. A further upload gets status 413."""
    keep_uploads_seconds: int | None = Field(default=None, ge=60)
    """Age at which uploads are deleted. `None` keeps them until their client deletes them."""
    cache_dir: Path = Path(tempfile.gettempdir()) / "longtake" / "sources"
    """Node-local folder for bytes of remote videos, shared by all processes of a node."""
    cache_bytes: int = Field(default=50 * 1024**3, gt=0)
    """Above this size, files that are not in use are evicted, least recently opened first."""
    max_video_bytes: int = Field(default=20 * 1024**3, gt=0)
    max_data_url_bytes: int = Field(default=64 * 1024**2, gt=0)
    """Limit on the decoded bytes. A `data:` URL is held in memory as a whole, so larger videos must be uploaded."""
    allow_private_addresses: bool = False
    """Whether http(s) URLs may resolve to loopback, private or link-local addresses."""
    connect_timeout_seconds: float = Field(default=5.0, gt=0)
    read_timeout_seconds: float = Field(default=30.0, gt=0)
    download_timeout_seconds: float = Field(default=3600.0, gt=0)
    max_redirects: int = Field(default=3, ge=0)
    s3_endpoint_url: str | None = None
    """`None` uses boto3's own configuration. Credentials always come from there."""
    s3_region: str | None = None


class VideoLimits(Settings):
    """Limits on a video. Checked on its metadata, before a picture is decoded."""

    allowed_codecs: frozenset[str] = frozenset(
        {"h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg", "prores", "png"}
    )
    max_duration_seconds: float = Field(default=24 * 3600, gt=0)
    max_frame_pixels: int = Field(default=64_000_000, gt=0)
    """Limit on the source's pictures: decoding one takes several times this much memory."""
    max_total_frames: int = Field(default=24 * 3600 * 120, gt=0)


class DecodingSettings(Settings):
    """How frames are decoded."""

    backend_order: tuple[Literal["planned", "torchcodec", "torchcodec_cuda", "pyav", "opencv", "decord"], ...] = Field(
        default=("planned", "torchcodec", "pyav"), min_length=1
    )
    """Decoding backends in order. Each next one decodes the frames that the earlier ones could not."""


class StoreSettings(Settings):
    """Where stored analyses live, how long they are kept, and how they run."""

    url: SecretStr | None = None
    """A PostgreSQL database, `postgresql://user:password@host/name`. `None` uses SQLite, in a file below `data_dir`."""
    data_dir: Path = Path("~/.local/share/longtake")
    """A folder on a local disk. Several nodes need PostgreSQL instead."""
    keep_results_seconds: float = Field(default=WEEK_SECONDS, gt=0)
    """How long a finished analysis and its chunk answers are kept. An analysis that no runner picks up in this time
    fails."""
    lease_seconds: float = Field(default=15.0, ge=1)
    """How long after a runner's last heartbeat another runner takes over its analyses. Nodes' clocks must differ by
    less."""
    max_running: int = Field(default=8, ge=1)
    """Stored analyses that one AnalysisRunner replica runs concurrently; the others wait in the queue."""
    max_queued: int = Field(default=10_000, ge=1)
    """Analyses that may wait in the queue; a further one gets status 429."""
    max_attempts: int = Field(default=5, ge=1)
    """Starts in a row without progress after which an analysis has failed."""
    webhook_secret: SecretStr | None = None
    """Signs webhooks: `whsec_` and 24 to 64 bytes in base64. Without it, requests with a webhook are rejected."""
    webhook_attempts: int = Field(default=8, ge=1)
    """Deliveries to try, after pauses that grow from 5 s to 10 hours."""

    @property
    def keep_request_uploads_seconds(self) -> float:
        """Lifetime of an upload from inside a request, which the server normally deletes earlier, unless it dies.

        At least a week: an analysis may still run when the results of shorter ones are deleted.
        """
        return max(self.keep_results_seconds, WEEK_SECONDS)

    @field_validator("url")
    @classmethod
    def _is_postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("store.url must be a postgresql:// URL; leave it out for SQLite")
        return url

    @field_validator("webhook_secret")
    @classmethod
    def _is_a_key(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            webhook_key(secret.get_secret_value())
        return secret


def webhook_key(secret: str) -> bytes:
    """The bytes of a Standard Webhooks secret. Raises ValueError."""
    try:
        key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise ValueError("store.webhook_secret must be whsec_ and 24 to 64 bytes in base64")
    return key
