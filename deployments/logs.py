"""Which analysis a line of the log belongs to. Serve itself adds the request's id, deployment and replica."""

import logging
from contextvars import ContextVar

from pipeline.types import NO_TRAIL, Trail

logger = logging.getLogger("ray.serve")

_current: ContextVar[Trail] = ContextVar("trail", default=NO_TRAIL)


def current_trail() -> Trail:
    """Of the work that this task does."""
    return _current.get()


def follow(trail: Trail) -> Trail:
    """From here on, lines that this task logs carry `trail`. Returns the one before it.

    Not a context manager over a token: the end of a generator may run in another context than its begin, where a token
    is refused.
    """
    before = _current.get()
    _current.set(trail)
    return before


class _TrailFilter(logging.Filter):
    """Refuses no line. With `encoding: JSON` the attributes become fields."""

    def filter(self, record: logging.LogRecord) -> bool:
        trail = _current.get()
        if trail.analysis_id is not None:
            record.analysis_id = trail.analysis_id
        if trail.chunk_index is not None:
            record.chunk_index = trail.chunk_index
        return True


logger.addFilter(_TrailFilter())  # of the logger: Serve replaces its handlers
