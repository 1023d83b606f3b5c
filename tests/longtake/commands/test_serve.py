"""`longtake serve`, without a server."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from longtake.commands.serve import configured
from tests.longtake.commands.processes import ROOT, run

ENDED_IN_ORDER = """
import sys, time
print("up", flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    time.sleep(0.5)  # a second signal would break this off
    print("ended in order", flush=True)
sys.exit(1)
"""


def test_options_override_the_configuration() -> None:
    with configured(ROOT / "serve_config.yaml", None, 9000, "some/model") as (file, address):
        changed = yaml.safe_load(file.read_text())
        assert address == ("127.0.0.1", 9000)
    original = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    assert changed["http_options"] == original["http_options"] | {"port": 9000}
    assert changed["applications"][0]["args"] == original["applications"][0]["args"] | {"model": "some/model"}
    assert changed["applications"][0]["deployments"] == original["applications"][0]["deployments"]
    assert not file.exists()
    with configured(ROOT / "serve_config.yaml", None, None, None) as (file, address):
        assert (file, address) == (ROOT / "serve_config.yaml", ("127.0.0.1", 8000))


def test_a_missing_configuration_and_a_taken_port(server: str, tmp_path: Path) -> None:
    finished = run("serve", "nowhere.yaml")
    assert finished.returncode == 2 and "There is no nowhere.yaml" in finished.stderr
    finished = run("serve", "--port", server.rsplit(":", 1)[1], cwd=tmp_path)  # the checkout's configuration
    assert finished.returncode == 4 and "is taken" in finished.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("is_ignored", [False, True])
def test_a_signal_stops_ray_serve_in_order(number: signal.Signals, is_ignored: bool) -> None:
    """Also where a script started it in the background, with SIGINT ignored."""
    ignore = "signal.signal(signal.SIGINT, signal.SIG_IGN); " if is_ignored else ""
    run = "from longtake.commands.serve import run_until_stopped; sys.exit(run_until_stopped(sys.argv[1:]))"
    code = f"import signal, sys; {ignore}{run}"
    command = [sys.executable, "-c", code, sys.executable, "-c", ENDED_IN_ORDER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        time.sleep(0.2)
        process.send_signal(number)
        printed, _ = process.communicate(timeout=30)
    assert (printed, process.returncode) == ("ended in order\n", 0)
