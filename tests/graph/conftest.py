"""The whole graph for real: Ray, all deployments, vLLM on the demo model. Started once for this folder."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer

from deployments.serving.embedded_server import embedded_server
from tests.graph.names import S3_BUCKET, S3_SECRET
from tests.otlp import Collector, collecting
from tests.real_clips import make_long_real_clip, real_clips
from tools.demo_model.scenes import Split, random_film, write_film


@pytest.fixture(scope="package")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's media root."""
    folder = tmp_path_factory.mktemp("media")
    shutil.copy(real_clips()[0], folder / "short.mp4")
    make_long_real_clip(folder / "minutes.mp4", duration_seconds=130)
    scenes = random_film(Split.TEST, 20_000, width_px=320, height_px=180, duration_seconds=130)
    write_film(scenes, folder / "scenes.mp4", fps=10)
    return folder


@pytest.fixture(scope="package")
def s3(media: Path) -> Iterator[str]:
    """The endpoint of an S3 server that holds short.mp4."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    with pytest.MonkeyPatch.context() as environment:  # as an operator gives credentials to boto3
        environment.setenv("AWS_ACCESS_KEY_ID", "test")
        environment.setenv("AWS_SECRET_ACCESS_KEY", S3_SECRET)
        client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1")
        client.create_bucket(Bucket=S3_BUCKET)
        client.upload_file(str(media / "short.mp4"), S3_BUCKET, "short.mp4")
        yield endpoint
    server.stop()


@pytest.fixture(scope="package")
def web(media: Path) -> Iterator[str]:
    """The address of a web server over the media folder."""
    handler = partial(_QuietHandler, directory=str(media))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="package")
def uploads(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server's upload store."""
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="package")
def traces() -> Iterator[Collector]:
    """What the server's deployments export, as OpenTelemetry's own variables tell them to. Metrics come often, too."""
    with collecting() as collector, pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        environment.setenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf")  # vLLM's default is another
        environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")  # ms
        environment.setenv("RAY_metrics_report_interval_ms", "1000")
        yield collector


@pytest.fixture(scope="package")
def server(
    media: Path, uploads: Path, s3: str, traces: Collector, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL of the server."""
    sources = {
        "media_roots": [str(media)],
        "upload_store": str(uploads),
        "cache_dir": str(tmp_path_factory.mktemp("cache")),
        "allow_private_addresses": True,
        "s3_endpoint_url": s3,
        "s3_region": "us-east-1",
        "max_data_url_bytes": 4 * 1024**2,
    }
    engine_args = {"otlp_traces_endpoint": f"{traces.url}/v1/traces"}
    with embedded_server({"sources": sources, "engine_args": engine_args}) as url:
        yield url


@pytest.fixture(scope="package")
def client(server: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server, timeout=240, trust_env=False) as client:
        yield client


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass
