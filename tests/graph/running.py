"""The whole graph for real: Ray, all deployments, vLLM on the demo model."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import boto3
import pytest
import yaml
from moto.server import ThreadedMotoServer

from deployments.serving.embedded_server import SERVE_CONFIG, embedded_server
from tests.graph.names import S3_BUCKET, S3_SECRET
from tests.otlp import Collector, collecting
from tests.real_clips import make_long_real_clip, real_clips
from tools.demo_model.scenes import Split, random_film, write_film


@dataclass(frozen=True)
class RunningGraph:
    """A server and everything around it that tests look at."""

    url: str
    media: Path
    """The server's media root: short.mp4 and minutes.mp4 are footage, scenes.mp4 is a film that the model knows."""
    uploads: Path
    """The server's upload store."""
    web: str
    """The address of a web server over `media`."""
    traces: Collector
    """Receives what the deployments export. They export metrics every second, too."""


@contextmanager
def running_graph(folder: Path) -> Iterator[RunningGraph]:
    """Start the graph and its neighbours, with all their files in `folder`; stop them at the end of the block."""
    media, uploads = folder / "media", folder / "uploads"
    media.mkdir()
    uploads.mkdir()
    _make_films(media)
    with ExitStack() as neighbours:
        web = neighbours.enter_context(_web_server(media))
        s3 = neighbours.enter_context(_s3_server(media))
        traces = neighbours.enter_context(collecting())
        sources = {
            "media_roots": [str(media)],
            "upload_store": str(uploads),
            "cache_dir": str(folder / "cache"),
            "allow_private_addresses": True,
            "s3_endpoint_url": s3,
            "s3_region": "us-east-1",
            "max_data_url_bytes": 4 * 1024**2,
        }
        engine_args = {"otlp_traces_endpoint": f"{traces.url}/v1/traces"}
        # Ray's processes inherit the environment of their start; the tests that follow need none of it.
        with _server_environment(traces):
            args = {"sources": sources, "engine_args": engine_args}
            url = neighbours.enter_context(embedded_server(args, config_path=_quick_config(folder)))
        yield RunningGraph(url, media, uploads, web, traces)


def _quick_config(folder: Path) -> Path:
    """Write serve_config.yaml with a health check every second, so that Serve soon notices killed replicas."""
    config = yaml.safe_load(SERVE_CONFIG.read_text())
    for deployment in config["applications"][0]["deployments"]:
        deployment["health_check_period_s"] = 1
    path = folder / SERVE_CONFIG.name
    path.write_text(yaml.safe_dump(config))
    return path


def _make_films(media: Path) -> None:
    shutil.copy(real_clips()[0], media / "short.mp4")
    make_long_real_clip(media / "minutes.mp4", duration_seconds=130)
    scenes = random_film(Split.TEST, 20_000, width_px=320, height_px=180, duration_seconds=130)
    write_film(scenes, media / "scenes.mp4", fps=10)


@contextmanager
def _server_environment(traces: Collector) -> Iterator[None]:
    """The variables by which an operator configures boto3, OpenTelemetry and Ray."""
    variables = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": S3_SECRET,
        "OTEL_EXPORTER_OTLP_ENDPOINT": traces.url,
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",  # vLLM's default is another
        "OTEL_BSP_SCHEDULE_DELAY": "200",  # ms
        "RAY_metrics_report_interval_ms": "1000",
    }
    with pytest.MonkeyPatch.context() as environment:
        for name, value in variables.items():
            environment.setenv(name, value)
        yield


@contextmanager
def _s3_server(media: Path) -> Iterator[str]:
    """The endpoint of an S3 server that holds short.mp4."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key=S3_SECRET,
    )
    client.create_bucket(Bucket=S3_BUCKET)
    client.upload_file(str(media / "short.mp4"), S3_BUCKET, "short.mp4")
    yield endpoint
    server.stop()


@contextmanager
def _web_server(media: Path) -> Iterator[str]:
    handler = partial(_QuietHandler, directory=str(media))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass
