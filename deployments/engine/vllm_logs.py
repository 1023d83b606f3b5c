"""vLLM's log in a replica of Serve: its lines go to Serve's handlers, which stay open."""

import logging
from typing import Any

import vllm.envs
from vllm.config.logging import LoggingConfig

from deployments.logs import logger


class EngineProcessLogging(LoggingConfig):
    """Lets vLLM configure logging in the engine's own processes, but not in the replica.

    vLLM configures logging with `dictConfig`, which closes every handler of the process, Serve's included. The replica
    then logs nothing more, and a new controller stops it because it can no longer name its log file. The engine's
    processes, which get this by pickle, have no other handlers: there vLLM logs to stdout.
    """

    def __init__(self) -> None:
        super().__init__(configure_logging=False, pylogging_config_file=None)

    def __reduce__(self) -> tuple[Any, ...]:
        return LoggingConfig, ()


class _ServesHandlers(logging.Handler):
    """Passes records to the current handlers of Serve's logger. Serve may replace them."""

    def emit(self, record: logging.LogRecord) -> None:
        logger.handle(record)


def log_to_serve() -> None:
    """Send the lines that vLLM logs in this process to Serve's handlers."""
    vllms = logging.getLogger("vllm")
    vllms.handlers = [_ServesHandlers()]
    vllms.setLevel(vllm.envs.VLLM_LOGGING_LEVEL)
    vllms.propagate = False
