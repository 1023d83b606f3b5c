"""What a server tells while it works: server-sent events, typed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from longtake.parsing import parsed
from longtake.results import Answer, ChunkResult, Plan


@dataclass(frozen=True)
class ServerEvent:
    """Any event; those that this version knows are of a class of their own."""

    name: str
    data: dict[str, Any]
    id: str | None = None
    """Of a durable analysis: by it a stream is gone on with."""


@dataclass(frozen=True)
class PlanEvent(ServerEvent):
    """The video was read, and cut into chunks."""

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
    """So many chunks are done; or they are being merged."""

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
    """The end."""

    @cached_property
    def answer(self) -> Answer:
        return parsed(Answer, self.data)


@dataclass(frozen=True)
class ErrorEvent(ServerEvent):
    """The analysis failed. Streams raise it as ServerError."""


@dataclass(frozen=True)
class CancelledEvent(ServerEvent):
    """A durable analysis was cancelled."""


KINDS: dict[str, type[ServerEvent]] = {
    "plan": PlanEvent,
    "chunk": ChunkEvent,
    "progress": ProgressEvent,
    "delta": DeltaEvent,
    "answer": AnswerEvent,
    "error": ErrorEvent,
    "cancelled": CancelledEvent,
}


class EventParser:
    """Puts lines together to events, as the HTML standard's event streams have them."""

    def __init__(self) -> None:
        self._name, self._id = "", None  # type: str, str | None
        self._data: list[str] = []

    def feed(self, line: str) -> Iterator[ServerEvent]:
        """One line, without its end. Yields the event that it ends, if it ends one."""
        if not line:
            yield from self._finished()
            return
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            self._name = value
        elif field == "data":
            self._data.append(value)
        elif field == "id":
            self._id = value

    def _finished(self) -> Iterator[ServerEvent]:
        if self._data:
            name = self._name or "message"
            yield KINDS.get(name, ServerEvent)(name, json.loads("\n".join(self._data)), self._id)
        self._name, self._data = "", []
