"""vLLM's log in a replica of Serve: its lines go where Serve's go, and Serve's handlers stay open."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from deployments.logs import logger

CONFIGURES_LOGGING = "VLLM_CONFIGURE_LOGGING"


@contextmanager
def serves_handlers_kept() -> Iterator[None]:
    """Import vLLM within this block, in a process that logs to Serve.

    vLLM configures logging when it is imported, and `dictConfig` closes every handler of the process, Serve's with
    them: the replica's log falls silent, and a new controller stops the replica because it cannot name its log file.
    The variable is set for the import alone, since the engine's own processes, which have no other handler, inherit it.
    """
    before = os.environ.get(CONFIGURES_LOGGING)
    os.environ[CONFIGURES_LOGGING] = "0"
    try:
        yield
    finally:
        if before is None:
            del os.environ[CONFIGURES_LOGGING]
        else:
            os.environ[CONFIGURES_LOGGING] = before


class _ServesHandlers(logging.Handler):
    """Hands records to the handlers that Serve's logger has at the time; Serve replaces them."""

    def emit(self, record: logging.LogRecord) -> None:
        logger.handle(record)


def log_to_serve() -> None:
    """Send the lines that vLLM logs in this process to Serve's handlers."""
    vllm = logging.getLogger("vllm")
    vllm.handlers = [_ServesHandlers()]
    vllm.setLevel(os.environ.get("VLLM_LOGGING_LEVEL", "INFO"))
    vllm.propagate = False
