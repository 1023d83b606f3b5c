"""When and where to resume the event stream of a stored analysis."""

from __future__ import annotations

from longtake import calls
from longtake.errors import ServerUnreachable
from longtake.events import ServerEvent
from longtake.requests import Request

PAUSES_SECONDS = (0.2, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Before each further attempt to reconnect. The first event that arrives starts them anew."""


class Resumption:
    """Follows one stored analysis over as many connections as it takes, up to its last event."""

    def __init__(self, analysis_id: str, after: str | None) -> None:
        """`after` is the id of the event to resume after; `None` starts with the first."""
        self.is_over = False
        """Whether the last event has arrived."""
        self._analysis_id = analysis_id
        self._after = after
        self._num_failures = 0

    @property
    def request(self) -> Request:
        """Asks for the events that have not arrived yet."""
        return calls.analysis_events(self._analysis_id, self._after)

    def record(self, event: ServerEvent) -> None:
        self._after = event.id or self._after
        self._num_failures = 0
        self.is_over = event.is_last

    def pause_seconds(self, error: ServerUnreachable) -> float:
        """How long to wait after the connection broke with `error`. Raises it once all attempts have failed."""
        if self.is_over:
            return 0.0
        if self._num_failures == len(PAUSES_SECONDS):
            raise error
        self._num_failures += 1
        return PAUSES_SECONDS[self._num_failures - 1]
