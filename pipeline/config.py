"""Settings of the stages. A misspelt key is an error at start, never a default that silently wins."""

from __future__ import annotations

import base64
import binascii
import tempfile
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

WEEK_SECONDS = 7 * 24 * 3600.0


class Settings(BaseModel):
    """Base of every settings class: unknown keys are refused, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceSettings(Settings):
    """Where videos may come from, and how much of this machine they may take."""

    media_roots: tuple[Path, ...] = ()
    """Folders below which `video_path` may point. Empty: no server path is readable."""
    upload_store: str = Field(default=str(Path(tempfile.gettempdir()) / "longtake" / "uploads"))
    """Where uploads are kept: a folder, or `s3://bucket/prefix`. On several nodes it must be shared by all of them."""
    max_stored_bytes: int = Field(default=200 * 1024**3, gt=0)
    """Of all uploads together, resumable ones that are not finished included. One more is refused with 413."""
    keep_uploads_seconds: int | None = Field(default=None, ge=60)
    """Uploads are deleted so long after they came. None: when their client deletes them."""
    cache_dir: Path = Path(tempfile.gettempdir()) / "longtake" / "sources"
    """Node-local folder for what was read of remote videos, shared by all processes of a node."""
    cache_bytes: int = Field(default=50 * 1024**3, gt=0)
    """What is not in use is removed, oldest first, above this size."""
    max_video_bytes: int = Field(default=20 * 1024**3, gt=0)
    max_data_url_bytes: int = Field(default=64 * 1024**2, gt=0)
    """Of the decoded bytes. A `data:` URL stands in memory whole, so larger videos are uploaded instead."""
    allow_private_addresses: bool = False
    """Whether http(s) URLs may lead to loopback, private or link-local addresses."""
    connect_timeout_seconds: float = Field(default=5.0, gt=0)
    read_timeout_seconds: float = Field(default=30.0, gt=0)
    download_timeout_seconds: float = Field(default=3600.0, gt=0)
    max_redirects: int = Field(default=3, ge=0)
    s3_endpoint_url: str | None = None
    """None: what boto3 finds in its own configuration. Credentials always come from there."""
    s3_region: str | None = None


class VideoLimits(Settings):
    """What a video may be. Checked on metadata, before a picture is decoded."""

    allowed_codecs: frozenset[str] = frozenset(
        {"h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mpeg2video", "mpeg1video", "mjpeg", "prores", "png"}
    )
    max_duration_seconds: float = Field(default=24 * 3600, gt=0)
    max_frame_pixels: int = Field(default=64_000_000, gt=0)
    """Of the source's pictures: decoding one costs this much memory several times over."""
    max_total_frames: int = Field(default=24 * 3600 * 120, gt=0)


class DecodingSettings(Settings):
    """How frames are had."""

    backend_order: tuple[Literal["planned", "torchcodec", "torchcodec_cuda", "pyav", "opencv", "decord"], ...] = Field(
        default=("planned", "torchcodec", "pyav"), min_length=1
    )
    """The first is asked first; each next one for the frames that the ones before it could not bring."""


class StoreSettings(Settings):
    """Where analyses are stored, how long they are kept, and how they are run."""

    url: SecretStr | None = None
    """A PostgreSQL database, `postgresql://user:password@host/name`. None: SQLite, in a file below `data_dir`."""
    data_dir: Path = Path("~/.local/share/longtake")
    """A folder on a disk of this node; with more than one node, the store has to be PostgreSQL."""
    keep_results_seconds: float = Field(default=WEEK_SECONDS, gt=0)
    """An analysis is deleted so long after its end, with its chunk answers. One that no runner claims within this time
    fails."""
    lease_seconds: float = Field(default=15.0, ge=1)
    """So long after a runner was last heard of, another takes its analyses over. Nodes' clocks must agree better."""
    max_running: int = Field(default=8, ge=1)
    """Stored analyses that one replica of AnalysisRunner runs at once; more wait for their turn."""
    max_queued: int = Field(default=10_000, ge=1)
    """That wait for their turn; one more is refused with 429."""
    max_attempts: int = Field(default=5, ge=1)
    """An analysis has failed that was begun so many times in a row and got no further."""
    webhook_secret: SecretStr | None = None
    """`whsec_` and 24 to 64 bytes in base64: webhooks are signed by it, and refused where there is none."""
    webhook_attempts: int = Field(default=8, ge=1)
    """After pauses that grow from 5 s to 10 hours."""

    @property
    def keep_request_uploads_seconds(self) -> float:
        """After which an upload that came with a request expires, in case the server died before it deleted it.

        At least a week: an analysis may still run when the results of shorter ones are deleted.
        """
        return max(self.keep_results_seconds, WEEK_SECONDS)

    @field_validator("url")
    @classmethod
    def _is_postgresql(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not url.get_secret_value().startswith(("postgresql://", "postgres://")):
            raise ValueError("store.url is no postgresql:// URL; leave it out for SQLite")
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
        raise ValueError("store.webhook_secret has to be whsec_ and 24 to 64 bytes in base64")
    return key
