"""Serve's logger, with the id of the analysis and the chunk on every line.

Serve itself adds the request's id, the deployment and the replica.
"""

import logging
from contextvars import ContextVar

from pipeline.types import NO_TRAIL, Trail

logger = logging.getLogger("ray.serve")

_current: ContextVar[Trail] = ContextVar("trail", default=NO_TRAIL)


def current_trail() -> Trail:
    """Return the trail of the current task's work."""
    return _current.get()


def follow(trail: Trail) -> Trail:
    """Add `trail` to all lines that this task logs from now on, and return the previous trail.

    This is not a context manager over a token: a generator may end in another context than it started in, and a token
    is invalid there.
    """
    before = _current.get()
    _current.set(trail)
    return before


class _TrailFilter(logging.Filter):
    """Adds attributes to every line. With `encoding: JSON` they become fields."""

    def filter(self, record: logging.LogRecord) -> bool:
        trail = _current.get()
        if trail.analysis_id is not None:
            record.analysis_id = trail.analysis_id
        if trail.chunk_index is not None:
            record.chunk_index = trail.chunk_index
        return True


logger.addFilter(_TrailFilter())  # on the logger: Serve replaces its handlers
