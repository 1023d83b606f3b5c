"""vLLM's log in a replica of Serve: its lines go where Serve's go, and Serve's handlers stay open."""

import logging
from typing import Any

import vllm.envs
from vllm.config.logging import LoggingConfig

from deployments.logs import logger


class EngineProcessLogging(LoggingConfig):
    """Lets vLLM configure logging in the engine's own processes, and not in the one that creates it.

    vLLM configures by `dictConfig`, which closes every handler of the process, Serve's with them. The replica's log
    then falls silent, and a new controller stops the replica, because it cannot name its log file any more. In the
    engine's processes, where this arrives by pickle, there is no other handler: they log to stdout, as ever.
    """

    def __init__(self) -> None:
        super().__init__(configure_logging=False, pylogging_config_file=None)

    def __reduce__(self) -> tuple[Any, ...]:
        return LoggingConfig, ()


class _ServesHandlers(logging.Handler):
    """Hands records to the handlers that Serve's logger has at the time; Serve replaces them."""

    def emit(self, record: logging.LogRecord) -> None:
        logger.handle(record)


def log_to_serve() -> None:
    """Send the lines that vLLM logs in this process to Serve's handlers."""
    vllms = logging.getLogger("vllm")
    vllms.handlers = [_ServesHandlers()]
    vllms.setLevel(vllm.envs.VLLM_LOGGING_LEVEL)
    vllms.propagate = False
