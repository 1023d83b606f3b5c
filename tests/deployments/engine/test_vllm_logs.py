"""vLLM in a process that logs to Serve, as in a replica: Serve's handler stays open, and gets vLLM's lines too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

REPLICA = """
import logging, os, sys
from contextlib import nullcontext
from logging.handlers import MemoryHandler

from deployments.engine.vllm_logs import log_to_serve, serves_handlers_kept
from deployments.logs import logger

serves = MemoryHandler(1, target=logging.FileHandler(sys.argv[1]), flushLevel=logging.DEBUG)  # as Serve makes it
logger.addHandler(serves)
logger.setLevel(logging.INFO)
logger.propagate = False
logger.info("before")
with serves_handlers_kept() if sys.argv[2] == "kept" else nullcontext():
    import vllm.logger
log_to_serve()
logger.info("after")
vllm.logger.init_logger("vllm.engine").info("from vLLM")
assert serves.target.baseFilename == sys.argv[1]  # what Serve's controller asks for when it recovers
assert "VLLM_CONFIGURE_LOGGING" not in os.environ  # the engine's own process logs to stdout, as ever
"""


def run_replica(log: Path, mode: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", REPLICA, log, mode], capture_output=True, text=True, check=False)


def test_serves_handler_stays_open_and_gets_vllms_lines(tmp_path: Path) -> None:
    log = tmp_path / "replica.log"
    replica = run_replica(log, "kept")
    assert replica.returncode == 0, replica.stderr
    assert log.read_text().splitlines() == ["before", "after", "from vLLM"]


@pytest.mark.parametrize("mode", ["not kept"])
def test_vllm_closes_it_by_itself(tmp_path: Path, mode: str) -> None:
    log = tmp_path / "replica.log"
    assert "'NoneType' object has no attribute 'baseFilename'" in run_replica(log, mode).stderr
    assert log.read_text().splitlines() == ["before"]
