"""Real origins on loopback ports: an HTTP server of our own and moto's S3 server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer
from mypy_boto3_s3 import S3Client

from pipeline.config import SourceSettings
from tests.pipeline.sources.origins import HttpSite


@pytest.fixture
def site() -> Iterator[HttpSite]:
    site = HttpSite()
    yield site
    site.close()


@pytest.fixture
def settings(tmp_path: Path) -> SourceSettings:
    media = tmp_path / "media"
    media.mkdir()
    return SourceSettings(
        media_roots=(media,),
        upload_store=str(tmp_path / "uploads"),
        cache_dir=tmp_path / "cache",
        max_video_bytes=32 * 1024**2,
        allow_private_addresses=True,
        connect_timeout_seconds=2,
        read_timeout_seconds=1,
        download_timeout_seconds=10,
    )


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3_settings(settings: SourceSettings, moto_url: str, monkeypatch: pytest.MonkeyPatch) -> SourceSettings:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test-key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary-secret")
    return settings.model_copy(update={"s3_endpoint_url": moto_url, "s3_region": "us-east-1"})


@pytest.fixture
def s3(s3_settings: SourceSettings) -> Iterator[S3Client]:
    """A client of the tests' own, with the empty bucket `videos`."""
    client = boto3.client("s3", endpoint_url=s3_settings.s3_endpoint_url, region_name="us-east-1")
    client.create_bucket(Bucket="videos")
    yield client
    for item in client.list_objects_v2(Bucket="videos").get("Contents", []):
        client.delete_object(Bucket="videos", Key=item["Key"])
    client.delete_bucket(Bucket="videos")
