"""Serves the whole graph on a Ray instance of its own, for this process."""

import os
import random
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
import yaml
from ray import serve
from ray.serve._private.api import serve_start  # `serve run` itself starts from here; there is no public way
from ray.serve.config import ProxyLocation
from ray.serve.schema import ApplicationStatus, ServeDeploySchema

from deployments.serving.body_flow import PROXY_CALLBACK, PROXY_CALLBACK_VARIABLE
from deployments.serving.ray_token import keep_ray_token_private

SERVE_CONFIG = Path(__file__).resolve().parents[2] / "serve_config.yaml"
APPLICATION = "longtake"
LEAST_CPUS = 2
"""Enough for the two decoders that serve_config.yaml starts, also on a machine with one core."""
OBJECT_STORE_BYTES = 1024**3
SERVE_ENVIRONMENT = {
    PROXY_CALLBACK_VARIABLE: PROXY_CALLBACK,
    # Kill a replica that fails its health checks. By default Serve waits for its requests, which a hung one never ends.
    "RAY_SERVE_FORCE_STOP_UNHEALTHY_REPLICAS": "1",
}
"""What the Makefile and cluster.yaml set, too."""
START_TIMEOUT_SECONDS = 300.0
_PORTS = range(20_000, 30_000)
"""Above the ports that Ray gives its workers on a cluster, below Linux's ephemeral range (32768 to 60999)."""


class ServerFailed(Exception):
    """The graph did not start. The message is Serve's own."""


@contextmanager
def embedded_server(
    args: Mapping[str, Any] | None = None,
    *,
    config_path: Path = SERVE_CONFIG,
    log_to_driver: bool = False,
    object_store_bytes: int = OBJECT_STORE_BYTES,
) -> Iterator[str]:
    """Serve `config_path`, with `args` overriding the application's own, and yield the URL. Ends with the block.

    Stored analyses are deleted at the end, too, unless `args` names a store.
    """
    with tempfile.TemporaryDirectory(prefix="longtake-data-") as data_dir:
        given = dict(args or {})
        config = load_config(config_path, given | {"store": {"data_dir": data_dir} | given.get("store", {})})
        with embedded_ray(log_to_driver=log_to_driver, object_store_bytes=object_store_bytes):
            yield deploy(config)


@contextmanager
def embedded_ray(*, log_to_driver: bool = False, object_store_bytes: int = OBJECT_STORE_BYTES) -> Iterator[None]:
    """Start a Ray instance that ends with the block, together with everything that Serve runs on it.

    It shares neither ports nor temporary folder nor session with other instances on this machine.
    """
    temp_dir = tempfile.mkdtemp(prefix="longtake-")  # Unix sockets lie below it, and a path has 107 bytes at most
    keep_ray_token_private()
    try:
        with _environment(SERVE_ENVIRONMENT):  # inherited by every process that Ray starts
            ray.init(
                address="local",
                namespace="serve",
                num_cpus=max(LEAST_CPUS, os.cpu_count() or 1),
                object_store_memory=object_store_bytes,
                include_dashboard=False,
                log_to_driver=log_to_driver,
                configure_logging=log_to_driver,
                _temp_dir=temp_dir,
            )
        keep_ray_token_private()  # Ray may just have written it
        yield
    finally:
        if ray.is_initialized():
            # Not serve.shutdown(): it kills Serve's controller first, and Ray prints errors about that.
            for application in serve.status().applications:
                serve.delete(application)
            ray.shutdown()
        shutil.rmtree(temp_dir, ignore_errors=True)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def load_config(path: Path, args: Mapping[str, Any]) -> ServeDeploySchema:
    """Load Serve's configuration for one node, on a free port."""
    raw = yaml.safe_load(path.read_text())
    raw["applications"][0]["args"] |= args
    for deployment in raw["applications"][0]["deployments"]:
        deployment["graceful_shutdown_wait_loop_s"] = 0.1  # nobody else uses this server when its owner stops it
    raw["http_options"] = {"host": "127.0.0.1", "port": free_port()}
    raw["proxy_location"] = "HeadOnly"
    return ServeDeploySchema.model_validate(raw)


def deploy(config: ServeDeploySchema) -> str:
    """Serve `config` on the connected Ray instance, and return the URL once it runs.

    Raises ServerFailed.
    """
    client = serve_start(
        http_options=config.http_options.model_dump(), proxy_location=ProxyLocation(config.proxy_location)
    )
    client.deploy_apps(config, _blocking=False)
    _wait_until_running()
    return f"http://{config.http_options.host}:{config.http_options.port}"


def free_port() -> int:
    """Return a free TCP port of the loopback interface, below the ephemeral range.

    While Ray starts, dozens of its processes ask the system for any port of that range. A port from there was taken
    before Serve's proxy could bind it.
    """
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise ServerFailed(f"No TCP port from {_PORTS.start} to {_PORTS.stop - 1} is free on 127.0.0.1.")


def _wait_until_running() -> None:
    until = time.monotonic() + START_TIMEOUT_SECONDS
    while time.monotonic() < until:
        application = serve.status().applications[APPLICATION]
        if application.status == ApplicationStatus.RUNNING:
            return
        if application.status == ApplicationStatus.DEPLOY_FAILED:
            raise ServerFailed(application.message)
        time.sleep(0.2)
    raise ServerFailed(f"The graph is not up after {START_TIMEOUT_SECONDS:.0f} s: {application.message}")
