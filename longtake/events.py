"""Server-sent events of an analysis, typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from longtake.errors import ServerError
from longtake.parsing import parsed
from longtake.plans import Plan
from longtake.results import Answer, ChunkResult


@dataclass(frozen=True)
class ServerEvent:
    """Any event. Events of a newer server that this version does not know are plain `ServerEvent`s."""

    is_last: ClassVar[bool] = False
    """Whether a stream ends with this kind of event."""

    name: str
    data: dict[str, Any]
    id: str | None = None
    """Position among the events of a stored analysis, to resume after; `None` in the stream of a direct request."""


@dataclass(frozen=True)
class PlanEvent(ServerEvent):
    """The server has read the video and planned its chunks."""

    @cached_property
    def plan(self) -> Plan:
        return parsed(Plan, self.data)


@dataclass(frozen=True)
class ChunkEvent(ServerEvent):
    """A chunk was answered, or failed."""

    @cached_property
    def chunk(self) -> ChunkResult:
        return parsed(ChunkResult, self.data)


@dataclass(frozen=True)
class ProgressEvent(ServerEvent):
    """How many chunks are done, and whether their answers are being merged."""

    @property
    def chunks_done(self) -> int:
        return int(self.data["chunks_done"])

    @property
    def num_chunks(self) -> int:
        return int(self.data["num_chunks"])

    @property
    def is_merging(self) -> bool:
        return bool(self.data["stage"] == "merging")


@dataclass(frozen=True)
class DeltaEvent(ServerEvent):
    """The next piece of the answer."""

    @property
    def text(self) -> str:
        return str(self.data["text"])


@dataclass(frozen=True)
class AnswerEvent(ServerEvent):
    """The whole answer, with which a stream ends."""

    is_last = True

    @cached_property
    def answer(self) -> Answer:
        return parsed(Answer, self.data)


@dataclass(frozen=True)
class CancelledEvent(ServerEvent):
    """A stored analysis was cancelled; its stream ends."""

    is_last = True


OnEvent = Callable[[ServerEvent], None]

EVENT_TYPES: dict[str, type[ServerEvent]] = {
    "plan": PlanEvent,
    "chunk": ChunkEvent,
    "progress": ProgressEvent,
    "delta": DeltaEvent,
    "answer": AnswerEvent,
    "cancelled": CancelledEvent,
}
ERROR = "error"
"""The event of an analysis that failed. It is raised as ServerError, and so has no class."""


def event_of(name: str, data: str, event_id: str, status: int) -> ServerEvent:
    """The event with these fields on the wire. Raises ServerError for an `error` event, with the stream's `status`."""
    body = json.loads(data)
    if name == ERROR:
        raise ServerError.of(body, status)
    return EVENT_TYPES.get(name, ServerEvent)(name, body, event_id or None)
