"""vLLM in a process that logs to Serve, as in a replica: Serve's handler stays open, and gets vLLM's lines too."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPLICA = """
import logging, pickle, sys
from logging.handlers import MemoryHandler

from vllm.config.logging import LoggingConfig
from vllm.engine.arg_utils import AsyncEngineArgs

from deployments.config import AppSettings
from deployments.engine.vllm_logs import EngineProcessLogging, log_to_serve
from deployments.logs import logger
from deployments.model_choice import choose_model

serves = MemoryHandler(1, target=logging.FileHandler(sys.argv[1]), flushLevel=logging.DEBUG)  # as Serve makes it
logger.addHandler(serves)
logger.setLevel(logging.INFO)
logger.propagate = False
logger.info("before")
log_to_serve()
engine_args = choose_model(AppSettings(), num_gpus=0, vllm_has_cuda=False).engine_args
own = LoggingConfig() if sys.argv[2] == "as vLLM does" else EngineProcessLogging()
config = AsyncEngineArgs(**engine_args, logging_config=own).create_engine_config()
logger.info("after")
logging.getLogger("vllm.engine").info("from vLLM")
assert serves.target.baseFilename == sys.argv[1]  # what Serve's controller asks for when it recovers
sent = pickle.loads(pickle.dumps(config)).logging_config
assert type(sent) is LoggingConfig and sent.configure_logging  # the engine's own process logs to stdout, as ever
"""


def run_replica(log: Path, mode: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", REPLICA, log, mode], capture_output=True, text=True, check=False)


def test_serves_handler_stays_open_and_gets_vllms_lines(tmp_path: Path) -> None:
    log = tmp_path / "replica.log"
    replica = run_replica(log, "as here")
    assert replica.returncode == 0, replica.stderr
    lines = log.read_text().splitlines()
    assert lines[0] == "before"
    assert lines[-2:] == ["after", "from vLLM"]


def test_by_itself_vllm_closes_it(tmp_path: Path) -> None:
    log = tmp_path / "replica.log"
    replica = run_replica(log, "as vLLM does")
    assert "'NoneType' object has no attribute 'baseFilename'" in replica.stderr
    assert "after" not in log.read_text()
