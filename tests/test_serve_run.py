"""`make serve` as it stands: the server, Ray's dashboard with its Serve page, and where Prometheus finds metrics."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.graph.processes import wait_until

ROOT = Path(__file__).parent.parent
DASHBOARD = "http://127.0.0.1:8265"
START_SECONDS = 240
DEPLOYMENTS = {
    entry["name"]
    for entry in yaml.safe_load((ROOT / "serve_config.yaml").read_text())["applications"][0]["deployments"]
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(START_SECONDS + 120)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A server of its own, on the ports that the README names."""
    command = [str(Path(sys.executable).with_name("serve")), "run", "serve_config.yaml"]
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0", "VLLM_NO_USAGE_STATS": "1", "RAY_worker_niceness": "0"}
    log = tmp_path_factory.mktemp("serve") / "log"
    with log.open("w") as told:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=told, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        with httpx.Client(base_url="http://127.0.0.1:8000", trust_env=False, timeout=30) as client:
            _wait_until_ready(client, process, log)
            yield client
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def _wait_until_ready(client: httpx.Client, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            if client.get("/health/ready").status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(1)
    raise AssertionError(log.read_text())


def dashboard(path: str, token: str | None = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return httpx.get(DASHBOARD + path, headers=headers, trust_env=False, timeout=30, follow_redirects=True)


@pytest.fixture(scope="module")
def token() -> str:
    """As the README tells to get it."""
    command = [str(Path(sys.executable).with_name("ray")), "get-auth-token"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]


@pytest.mark.usefixtures("server")
def test_the_dashboard_has_its_serve_page(token: str) -> None:
    page = dashboard("/")
    assert page.status_code == 200 and '<div id="root">' in page.text
    applications: dict[str, Any] = dashboard("/api/serve/applications/", token).json()["applications"]
    deployments = applications["longtake"]["deployments"]
    assert {name: deployment["status"] for name, deployment in deployments.items()} == dict.fromkeys(
        DEPLOYMENTS, "HEALTHY"
    )
    assert dashboard("/api/serve/applications/").status_code == 401


@pytest.mark.usefixtures("server")
def test_prometheus_finds_every_node() -> None:
    def is_told() -> bool:
        (job,) = json.loads(Path("/tmp/ray/prom_metrics_service_discovery.json").read_text())
        texts = [httpx.get(f"http://{target}/metrics", trust_env=False, timeout=30).text for target in job["targets"]]
        return any("ray_longtake_frames_limit_bytes" in text for text in texts)

    wait_until(is_told, timeout_seconds=60, what="a metric of Longtake's")  # told every 10 s
